export interface StringValue {
  readonly type: "string";
  text: string;
}

export interface ListValue {
  readonly type: "list";
  items: string[];
}

export interface SetValue {
  readonly type: "set";
  readonly members: Set<string>;
}

export interface HashValue {
  readonly type: "hash";
  readonly fields: Map<string, string>;
}

export interface ZsetValue {
  readonly type: "zset";
  readonly scores: Map<string, number>;
}

/** A value of a key. All text has one character for each byte. */
export type SimValue = StringValue | ListValue | SetValue | HashValue | ZsetValue;

export function copyOf(value: SimValue): SimValue {
  switch (value.type) {
    case "string":
      return { type: "string", text: value.text };
    case "list":
      return { type: "list", items: [...value.items] };
    case "set":
      return { type: "set", members: new Set(value.members) };
    case "hash":
      return { type: "hash", fields: new Map(value.fields) };
    case "zset":
      return { type: "zset", scores: new Map(value.scores) };
  }
}

/** Members of a sorted set in its order: by score, equal scores by their bytes. */
export function ranked({ scores }: ZsetValue): [member: string, score: number][] {
  return [...scores].toSorted(([one, low], [other, high]) => low - high || (one < other ? -1 : 1));
}
