/**
 * Write commands behind which a key that was there is still there: they add to it, change it, or replace its value. All others may take a key
 * away: by its name, with its last element, by an empty result that they store over it, or by an expiry that lies in the past.
 * Sources: dbDelete and its callers in Redis t_*.c, db.c, sort.c, bitops.c, geo.c and expire.c. A stream stays when it is empty.
 */
export const keepingCommands: ReadonlySet<string> = new Set(
  [
    "SETNX GETSET MSET MSETNX SETEX PSETEX APPEND SETRANGE SETBIT BITFIELD INCR DECR INCRBY DECRBY INCRBYFLOAT",
    "PFADD PFMERGE PFCOUNT PERSIST COPY",
    "LPUSH RPUSH LPUSHX RPUSHX LINSERT LSET SADD",
    "HSET HMSET HSETNX HINCRBY HINCRBYFLOAT HPERSIST",
    "ZADD ZINCRBY GEOADD",
    "XADD XTRIM XDEL XDELEX XACKDEL XACK XNACK XCLAIM XAUTOCLAIM XREADGROUP XGROUP XSETID XCFGSET XIDMPRECORD",
    "VADD VSETATTR",
  ]
    .join(" ")
    .split(" "),
);
