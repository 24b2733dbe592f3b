import assert from "node:assert/strict";
import { test } from "node:test";
import { ConversionError, JsonText } from "starflow";
import { decode, encode } from "../dist/json.js";

const SAFE = Number.MAX_SAFE_INTEGER;

for (const [text, value] of [
  ["null", null],
  ["true", true],
  ["0", 0],
  ["-0", 0],
  ["-0.0", -0],
  ["1.5", 1.5],
  ["1e3", 1000],
  [`${SAFE}`, SAFE],
  [`${SAFE + 1}`, BigInt(SAFE) + 1n],
  [`-${SAFE + 1}`, -BigInt(SAFE) - 1n],
  ["123456789012345678901234567890", 123456789012345678901234567890n],
  ['"\\u00e9 \\ud83d\\ude00 \\\\ \\" 1234567890123456789"', 'é 😀 \\ " 1234567890123456789'],
  [
    ' { "a" : [ 1 , 9007199254740993 ] , "" : { } , "b" : [ ] } ',
    { a: [1, 9007199254740993n], "": {}, b: [] },
  ],
] as const) {
  test(`plain numbers: ${text} is read as what it says`, () => {
    assert.deepStrictEqual(decode(text), value);
  });
}

for (const [text, value] of [
  ["1", 1n],
  ["-0", 0n],
  ["1.0", 1],
  ["1e2", 100],
  ["[9007199254740993,1.5,true]", [9007199254740993n, 1.5, true]],
] as const) {
  test(`exact numbers: ${text} is read as what it says`, () => {
    assert.deepStrictEqual(decode(text, "exact"), value);
  });
}

test("both ways of reading agree where numbers are small", () => {
  const text = '{"a":[1,-2.5e-3,"x\\n",null,true,{"b":{}}],"1":0.1}';
  const forced = decode(`[9007199254740993,${text}]`) as unknown[];

  assert.deepStrictEqual(forced[1], decode(text));
});

test("a key __proto__ is a key like any other", () => {
  const value = decode('{"__proto__":{"polluted":1},"n":9007199254740993}') as object;

  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(encode(value), '{"__proto__":{"polluted":1},"n":9007199254740993}');
});

for (const text of [
  "",
  "nul",
  "[1,]",
  '{"a" 1}',
  "1234567890123456789x",
  '["-0',
  "[1",
  '{"a":1',
  "01",
]) {
  test(`what is not JSON is refused: ${text}`, () => {
    assert.throws(() => decode(text), ConversionError);
    assert.throws(() => decode(text, "exact"), ConversionError);
  });
}

for (const [value, text] of [
  [undefined, "null"],
  [[undefined, 1], "[null,1]"],
  [{ a: undefined, b: null }, '{"b":null}'],
  [2n ** 70n, "1180591620717411303424"],
  [-0, "-0.0"],
  [1e21, "1e+21"],
  [2 ** 60, "1152921504606847000.0"],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [{ nested: new JsonText("1.0") }, '{"nested":1.0}'],
  [
    new (class Point {
      x = 1;
    })(),
    '{"x":1}',
  ],
  ['é\u2028"', '"é\u2028\\""'],
] as const) {
  test(`${text} is written`, () => {
    assert.equal(encode(value), text);
  });
}

test("exact numbers are written so that integers and floats stay apart", () => {
  assert.equal(encode([1, 1n, 0.5, 1e300, -0], "exact"), "[1.0,1,0.5,1e+300,-0.0]");
});

test("whatever is written is read back", () => {
  const values = [
    0,
    -1.5,
    5e-324,
    Number.MAX_VALUE,
    2n ** 64n,
    "\u0000😀",
    [[]],
    { a: { b: [] } },
  ];

  assert.deepStrictEqual(decode(encode(values)), values);
});

const cycle: unknown[] = [];
cycle.push(cycle);
for (const [name, value, problem] of [
  ["NaN", { a: [Number.NaN] }, ".a[0]: NaN has no JSON form"],
  ["an infinity", -Infinity, "the value: -Infinity has no JSON form"],
  ["a lone surrogate", ["\ud800"], "[0]: holds a lone surrogate"],
  ["a lone surrogate in a key", { "\ud800": 1 }, ".\ud800: holds a lone surrogate"],
  ["a function", { f: () => 1 }, ".f: function has no JSON form"],
  ["a map, which JSON would write as {}", new Map([[1, 2]]), "the value: Map has no JSON form"],
  ["a promise that nobody awaited", { p: Promise.resolve(1) }, ".p: Promise has no JSON form"],
  ["a cycle", cycle, "the value: is nested too deeply, or contains itself"],
] as const) {
  test(`${name} is refused, and the path leads to it`, () => {
    assert.throws(() => encode(value), { name: "ConversionError", message: problem });
  });
}
