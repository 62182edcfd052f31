/** A variable of the environment that a program of Sluice reads. */
export interface Setting {
  readonly name: string;
  readonly readBy: string;
  readonly takes: string;
  /** What holds where it is not set. */
  readonly byDefault: string;
  readonly description: string;
}

const ALL = "every service";
const PATH = "a path";

/** Every setting; a test looks through the sources for any that is missing here. */
export const settings: readonly Setting[] = [
  setting(
    "SLUICE_NATS_URL",
    ALL,
    "one or several `nats://host:port` or `tls://host:port`, separated by commas",
    "`nats://127.0.0.1:4222`",
    "Where NATS is. With tls:// a service never goes on without TLS, and verifies the server's certificate.",
  ),
  setting(
    "SLUICE_NATS_CA",
    ALL,
    PATH,
    "the public authorities",
    "File with the authorities that may have signed the certificate of NATS, PEM.",
  ),
  setting(
    "SLUICE_NATS_CERT",
    ALL,
    PATH,
    "none",
    "File with the client certificate, PEM, where NATS asks for one (`verify: true`).",
  ),
  setting("SLUICE_NATS_KEY", ALL, PATH, "none", "File with its key, PEM, without a passphrase."),
  setting(
    "SLUICE_NATS_SERVER_NAME",
    ALL,
    "a name",
    "the host in the URL",
    "Name that the certificate of every NATS server must bear. Needed where servers that are found through others are named by addresses which their certificates do not bear.",
  ),
  setting(
    "SLUICE_NATS_INSECURE",
    ALL,
    "`true` or `false`",
    "`false`",
    "Take any certificate of NATS. Whoever is in between can then read and change everything.",
  ),
  setting("SLUICE_NATS_USER", ALL, "text", "none", "User, together with a password."),
  setting("SLUICE_NATS_PASSWORD", ALL, "text", "none", "Its password."),
  setting("SLUICE_NATS_PASSWORD_FILE", ALL, PATH, "none", "File with the password, instead."),
  setting("SLUICE_NATS_TOKEN", ALL, "text", "none", "Token, instead of a user."),
  setting("SLUICE_NATS_TOKEN_FILE", ALL, PATH, "none", "File with the token, instead."),
  setting("SLUICE_NATS_NKEY", ALL, PATH, "none", "File with the seed of a user's nkey (`SU…`), instead of a user."),
  setting("SLUICE_NATS_CREDS", ALL, PATH, "none", "Credentials file (JWT and seed), instead of a user."),
  setting(
    "SLUICE_INSTANCE",
    ALL,
    "1 to 64 letters, digits, - or _",
    "the host's name and a random end",
    "Name of this instance, unique among those of its service.",
  ),
  setting(
    "SLUICE_LOG_LEVEL",
    ALL,
    "`trace`, `debug`, `info`, `warn`, `error` or `silent`",
    "`info`",
    "From which level on something is logged.",
  ),
  setting(
    "SLUICE_SECRET_KEY",
    ALL,
    "64 hexadecimal digits",
    "none: pipelines with passwords are refused",
    "Seals the secrets of pipelines in their records. The same for all services: `openssl rand -hex 32` makes one.",
  ),
  setting(
    "SLUICE_STREAM_REPLICAS",
    ALL,
    "a whole number, 1 to 5",
    "`1`",
    "Servers of the NATS cluster that keep a copy of each stream and of the records.",
  ),
  setting("SLUICE_METRICS_LISTEN", ALL, "`host:port`", "nowhere", "Where a service serves its metrics for Prometheus."),
  setting(
    "SLUICE_API_LISTEN",
    "coordinator",
    "`host:port`; port 0 takes a free one",
    "`127.0.0.1:7380`",
    "Where the API listens. An address that other machines reach needs a token.",
  ),
  setting(
    "SLUICE_API_TOKEN",
    "coordinator, sluice",
    "16 to 512 letters, digits or -._~+/",
    "none",
    "What clients of the API have to name, and what the command line names.",
  ),
  setting("SLUICE_API_TOKEN_FILE", "coordinator, sluice", PATH, "none", "File with the token, instead."),
  setting("SLUICE_API_CERT", "coordinator", PATH, "plain HTTP", "File with the certificate of the API, PEM."),
  setting("SLUICE_API_KEY", "coordinator", PATH, "plain HTTP", "File with its key, PEM."),
  setting(
    "SLUICE_API_CA",
    "sluice",
    PATH,
    "the public authorities",
    "File with the authority that signed the certificate of an API at https://, PEM.",
  ),
  setting(
    "SLUICE_API",
    "sluice",
    "`host:port`",
    "that of the run in the data directory",
    "Where the API is that commands ask.",
  ),
];

function setting(name: string, readBy: string, takes: string, byDefault: string, description: string): Setting {
  return { name, readBy, takes, byDefault, description };
}
