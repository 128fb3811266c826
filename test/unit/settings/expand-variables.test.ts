import { expect, test } from "vitest";
import { expandVariables } from "../../../src/settings/expand-variables.ts";

const environment = { HOST_IP: "10.1.2.3", EMPTY: "", HOST_IP6: "fd00::7", NESTED: "${HOST_IP}" };

test.each([
  ["10.0.0.1:53", "10.0.0.1:53"],
  ["${HOST_IP}:53", "10.1.2.3:53"],
  ["${HOST_IP}-${HOST_IP}", "10.1.2.3-10.1.2.3"],
  ["${EMPTY}", ""],
  ["${EMPTY:-8}", "8"],
  ["${ABSENT:-8}", "8"],
  ["${ABSENT:-}", ""],
  ["${HOST_IP:-8}", "10.1.2.3"],
  ["$${HOST_IP}", "${HOST_IP}"],
  ["$HOST_IP $", "$HOST_IP $"],
  ["${NESTED}", "${HOST_IP}"],
  ["${HOST_IP6}:53", "[fd00::7]:53"],
  ["${ABSENT:-fd00::8}:53", "[fd00::8]:53"],
  ["[${HOST_IP6}]:53", "[fd00::7]:53"],
  ["${HOST_IP6}", "fd00::7"],
  ["${HOST_IP6}/64", "fd00::7/64"],
])("%s becomes %s", (text, expected) => {
  expect(expandVariables(text, environment)).toEqual({ text: expected });
});

test.each([
  ["${ABSENT}", /ABSENT, which is not set/],
  ["${ABSENT}${GONE}", /ABSENT.*GONE/],
  ["${HOST_IP", /needs a name/],
  ["${}", /needs a name/],
  ["${1}", /needs a name/],
])("%s is a fault", (text, wrong) => {
  expect(expandVariables(text, environment)).toEqual({ wrong: expect.stringMatching(wrong) });
});
