import { Connection, ReplyError } from "@sluice/redis";
import { RedisServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { ModelClient, shown } from "../reply-comparison.sample.ts";
import { SimServer } from "../sim-server.ts";

const SCRIPTS = [
  "return 1 + 2 * 3 - 4 / 2 ^ 2",
  "return {1, 2.9, 'x', true, false, 'behind nil', {3, {4}}}",
  "return {1, nil, 3}",
  "return -7 % 3",
  "local t = {a = 1, ['b c'] = 2, 9} return {t.a, t['b c'], #t, t[1]}",
  "local n = 0 for i = 10, 1, -3 do n = n * 10 + i end return n",
  "local n = '' for i, v in ipairs({'a', 'b', 'c'}) do n = n .. i .. v end return n",
  "local n = 0 while true do n = n + 1 if n > 5 then break end end return n",
  "local n = 0 repeat n = n + 2 until n >= 7 return n",
  "local a, b, c = unpack({1, 2}) if c == nil then return a + b else return 'no' end",
  "if ARGV[1] == 'x' then return 'first' elseif ARGV[2] == 'y' then return 'second' else return 'third' end",
  "return (ARGV[9] or 'none') .. (ARGV[1] and 'some')",
  "return not (1 == '1') and 'equal types only'",
  "local t = {} for i = 1, 5 do t[i] = i * i end t[#t + 1] = 'end' return t",
  "local t = {1, 2, 3} t[2] = nil t[2] = 5 return t",
  "return tostring(0.1) .. ' ' .. tostring(1e15) .. ' ' .. tostring(100) .. ' ' .. 2 ^ 53",
  "return tonumber('12') + tonumber('0x10') + (tonumber('nope') or 1)",
  "return string.sub('abcdef', -3, -2) .. string.upper('x') .. string.rep('ab', 2) .. #'four'",
  "return {string.match('v1|22|-3', '^(%a)(%d+)|(%d+)|(-?%d+)$')}",
  "return {string.find('a.b.c', '.', 2, true)}",
  "return string.gsub('hello world', 'o', '0')",
  "return {string.gsub('key=value', '(%w+)=(%w+)', '%2=%1')}",
  "return (string.gsub('tab\\tnew\\nline', '[^ -~]', '?'))",
  "return string.match('[tag] rest', '%[(.-)%]')",
  "return table.concat({1, 2, 'x'}, ',') .. table.concat({'a', 'b', 'c'}, '', 2, 3)",
  "local t = {'b'} table.insert(t, 'c') table.insert(t, 1, 'a') local last = table.remove(t) return {last, #t, t[1]}",
  "return {math.floor(2.7), math.max(1, 9, 3), math.min(4, 2), math.abs(-3), math.ceil(1.1)}",
  "return redis.status_reply('FINE')",
  "return redis.error_reply('BAD thing')",
  "return {ok = 'table'}",
  "return {err = 'MY error'}",
  "return redis.call('SET', KEYS[1], 'v')",
  "return redis.call('GET', 'missing') == false",
  "return redis.call('GET', KEYS[1])",
  "return redis.call('RPUSH', KEYS[1], 'x')",
  "local r = redis.pcall('RPUSH', KEYS[1], 'x') return r.err",
  "return redis.pcall('RPUSH', KEYS[1], 'x')",
  "return redis.call('SET', KEYS[1], 1.5)",
  "return redis.call('NOPE')",
  "return redis.pcall('NOPE').err",
  "return redis.pcall('GET').err",
  "return redis.pcall('MULTI').err",
  "return redis.pcall('SET', KEYS[1], {}).err",
  "return redis.pcall().err",
  "return redis.call('SELECT', 3)",
  "return redis.call('EXISTS', KEYS[1])",
  "return {redis.call('MGET', KEYS[1], 'missing'), type(redis.call('PING')), redis.call('PING').ok}",
  "return redis.sha1hex('x')",
  "return type(redis.replicate_commands)",
  "return undefined_name",
  "local t = nil return t.x",
  "return 1 + {}",
  "return 'a' < 1",
  "return nil .. 'x'",
  "error('told')",
  "return 1 +",
  'return [[long\nstring]] .. "q\\"uote" .. \'esc\\065\'',
  "-- a comment\nreturn --[[ another ]] 5",
  "do local x = 1 end return 'scoped'",
  "local x = 1 do local x = 2 end return x",
  "local a = 1 local b = a a = 2 return {a, b}",
  "return #ARGV + #KEYS",
];

test("scripts: the same replies as from a real server", async () => {
  await using real = await RedisServer.start();
  const connection = await Connection.open({ host: "127.0.0.1", port: real.port });
  const server = new SimServer({ name: "model", host: "127.0.0.1", port: 1, nowMs: () => Date.now(), random: () => 0.5 });
  const client = new ModelClient(server);
  const [seen, modelled]: [unknown[], unknown[]] = [[], []];
  for (const script of SCRIPTS) {
    const args = ["EVAL", script, "1", "k", "x", "y"];
    const reply = await connection.call(args).catch((cause: unknown) => {
      if (cause instanceof ReplyError) return cause;
      throw cause;
    });
    seen.push([script, shown("eval", reply)]);
    modelled.push([script, shown("eval", client.ask(args))]);
  }
  expect(modelled.map(withoutCause)).toEqual(seen.map(withoutCause));
  connection.close();
});

/** Errors that the interpreter raises by itself, as far as which: their words are its own. */
function withoutCause(entry: unknown): unknown {
  const [script, reply] = entry as [string, unknown];
  const isOwn = typeof reply === "string" && /^error ERR (?:user_script|Error compiling)/.test(reply);
  return [
    script,
    isOwn ? reply.replace(/^(error ERR (?:user_script:\d+|Error compiling)).*?(on @user_script:\d+)?\.?$/s, "$1 $2") : reply,
  ];
}
