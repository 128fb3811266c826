/*
 * The page as people meet it: a browser opens it in front of a nodens that pods have asked, and everything is read off the screen.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { buildQuery, type TestMessage, Type } from "../support/messages/messages.ts";
import { browserCommand, type Look, openBrowser } from "../support/program/browser.ts";
import { describeWith } from "../support/program/requirements.ts";
import { runNodens, type RunningNodens } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const service = "kubernetes.default.svc.cluster.local";
const outside = "www.example.com";
const suffixes = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
const [waiting, searching] = ["127.0.3.17", "127.0.3.40"];

/** A pod that asks for A and AAAA of each name, from one socket, and gets its replies. */
async function asks(port: number, address: string, names: readonly string[], more: TestMessage = {}): Promise<void> {
  const socket = createSocket("udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  for (const [turn, name] of names.entries()) {
    for (const [index, type] of [Type.A, Type.AAAA].entries()) {
      socket.send(buildQuery(name, type, { id: 1000 + turn * 2 + index, ...more }), port, "127.0.0.1");
      await once(socket, "message");
    }
  }
  socket.close();
}

/** A pod that asks again after five seconds, with the same port and ID, as if the reply had been lost. */
async function waitsOnce({ port, moveClock }: RunningNodens): Promise<void> {
  const socket = createSocket("udp4");
  socket.bind(0, waiting);
  await once(socket, "listening");
  for (let turn = 0; turn < 2; turn += 1) {
    socket.send(buildQuery(service, Type.A, { id: 77 }), port, "127.0.0.1");
    await once(socket, "message");
    if (turn === 0) await moveClock({ monotonicMs: 5000 });
  }
  socket.close();
}

interface SeenCounts {
  readonly waits: { readonly last15Minutes: number };
  readonly flow: Readonly<Record<string, { readonly perSecond: number }>>;
}

async function startPlanted(settings: Record<string, unknown> = {}): Promise<RunningNodens> {
  const nodens = await runNodens({ hasMovableClock: true, settings });
  const searched = suffixes.map((suffix) => `${outside}.${suffix}`);
  for (let turn = 0; turn < 4; turn += 1) await asks(nodens.port, searching, [...searched, outside]);
  await waitsOnce(nodens);
  // Counters are looked at once a second.
  await until("all of it is counted", async () => {
    const { waits, flow } = (await (await fetch(`${nodens.adminUrl}/seen`)).json()) as SeenCounts;
    return waits.last15Minutes === 1 && (flow["kube-dns"]?.perSecond ?? 0) > 0;
  });
  return nodens;
}

/** What is on the screen below a heading, up to the next one, line by line. */
async function linesBelow(page: Page, heading: string): Promise<string[]> {
  const text = await page.locator("main").innerText();
  const [, below = ""] = text.split(new RegExp(`^${heading}\\b.*$`, "m"));
  const next = (await page.locator("h2").allInnerTexts()).map((title) => title.split("\n")[0] ?? "");
  const end = Math.min(...next.map((title) => below.indexOf(`\n${title}`)).filter((at) => at >= 0), below.length);
  return below
    .slice(0, end)
    .split("\n")
    .filter((line) => line.trim() !== "");
}

describeWith([browserCommand], "the page in a browser", () => {
  let nodens: RunningNodens;
  let context: BrowserContext;
  beforeAll(async () => {
    [nodens, context] = await Promise.all([startPlanted(), openBrowser({ viewport: { width: 1100, height: 900 } })]);
  });
  afterAll(async () => {
    await context?.close();
    await nodens?.stop();
  });

  /** The page, and all that the browser said of it. */
  async function open(path = "/", url = nodens.adminUrl) {
    const page = await context.newPage();
    onTestFinished(() => page.close());
    const [requests, complaints]: [string[], string[]] = [[], []];
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.clock.install();
    await page.goto(`${url}${path}`);
    return { page, requests, complaints };
  }

  test("says in one sentence who waited and why, and then, in this order, all that it knows", async () => {
    const { page } = await open();
    // On a busy machine it may be true that nodens itself stood still.
    expect((await page.locator("h1").innerText()).replace(/, while nodens itself.*(?=\.$)/, "")).toBe(
      `Pods wait. 1 lookup of the pod ${waiting} waited for seconds: the replies were lost on the way to the pod.`,
    );
    const titles = await page.locator("h2").allInnerTexts();
    expect(titles.map((title) => /^(?:The )?\w+/.exec(title)?.[0])).toEqual([
      "The last",
      "Pods",
      "Search",
      "Clients",
      "Names",
      "Upstream",
      "Kernel",
      "Explain",
      "Recorded",
    ]);
    const ribbon = await page.getByRole("img", { name: "Where queries end" }).textContent();
    expect(ribbon).toMatch(/2 pods[^]*cache \d+ %[^]*kube-dns \d+ %/);
    const strip = page.getByRole("img", { name: "How long lookups took in the last 15 minutes" });
    expect(await strip.locator(".mark title").allTextContents()).toEqual(["1 asked again"]);
    expect(await strip.locator(".cells rect").count()).toBeGreaterThan(0);
    const [, wait] = await linesBelow(page, "Pods that waited");
    expect(wait).toMatch(
      new RegExp(`^\\d+ s\\s+${waiting}\\s+${service} A\\s+5\\.\\d s\\s+answered; the reply was lost`),
    );
  });

  test("shows what search suffixes cost, what would end it, and what that spares", async () => {
    const { page } = await open();
    const [, waste] = await linesBelow(page, "Search waste");
    expect(waste).toMatch(/^default\s+www\.example\.com under 3 suffixes\s+\d+/);
    expect(waste).toContain("Write www.example.com. with a final dot");
    expect(waste).toMatch(/75 %$/);
  });

  test("shows clients, names, paths, the kernel's counters, and the settings on demand", async () => {
    const { page } = await open();
    expect((await linesBelow(page, "Clients")).join("\n")).toMatch(
      new RegExp(`${searching}\\s+default[^]*${waiting}.*1: 5\\.\\d s, answered`),
    );
    expect((await linesBelow(page, "Names")).join("\n")).toContain(service);
    expect((await linesBelow(page, "Upstream")).join("\n")).toMatch(/cluster 127\.0\.0\.1:\d+ TCP/);
    expect((await linesBelow(page, "Kernel")).join("\n")).toMatch(/conntrack_insert_failed\s+\d/);
    const settings = page.locator("details pre");
    expect(await settings.isVisible()).toBe(false);
    await page.getByText("Settings in force").click();
    await settings.waitFor();
    expect(await settings.innerText()).toContain("recordedQueries");
  });

  test("explains a name by keyboard alone, in the order of the screen", async () => {
    const { page } = await open();
    const focused = () =>
      page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("name");
    await page.keyboard.type("www.example.com");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("namespace");
    await page.keyboard.type("shop");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Explain");
    await page.keyboard.press("Space");
    const answer = page.locator("#explain pre");
    await answer.waitFor();
    expect(await answer.innerText()).toContain("www.example.com + shop.svc.cluster.local");
    expect(await page.getByLabel("name", { exact: true }).inputValue()).toBe("www.example.com");
    await page.getByLabel("namespace").press("Enter");
    await answer.waitFor();
    await page.locator("summary").focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("details pre").isVisible()).toBe(true);
  });

  test("shows the recorded queries that pass what was chosen: by client, name, outcome, time, and asked again", async () => {
    const { page } = await open();
    const lines = async () => (await linesBelow(page, "Recorded queries")).filter((line) => /^\d+ s\s/.test(line));
    expect(await lines()).toEqual([]);
    await page.getByLabel("asked again").check();
    await page.getByRole("button", { name: "Show" }).click();
    const [repeated, ...others] = await lines();
    expect(repeated).toMatch(
      new RegExp(`${waiting}\\s+${service} A\\s+NOERROR.*asked again after 5\\.\\d s, first answered`),
    );
    expect(others).toEqual([]);
    expect(await page.getByLabel("asked again").isChecked()).toBe(true);
    await page.getByLabel("asked again").uncheck();
    await page.getByLabel("client").fill(searching);
    await page.getByLabel("part of a name").fill("www.example.com.svc");
    await page.getByLabel("outcome").selectOption("NXDOMAIN");
    await page.getByLabel("client").press("Enter");
    const denied = await lines();
    expect(denied).toHaveLength(8);
    for (const line of denied) expect(line).toMatch(/www\.example\.com\.svc\.cluster\.local A+\s+NXDOMAIN/);
    await page.getByLabel("slower than, in ms").fill("soon");
    await page.getByLabel("client").press("Enter");
    expect(await page.locator("#record").innerText()).toContain("slower is not a number of milliseconds");
  });

  test("renews itself, but takes nothing from under the hands of those who use it", async () => {
    const { page } = await open();
    const pods = () => page.locator(".ribbon").textContent();
    await asks(nodens.port, "127.0.3.99", [service]);
    await page.clock.runFor(2500);
    await page.locator(".ribbon", { hasText: "3 pods" }).waitFor();
    await page.getByRole("button", { name: "Explain" }).focus();
    await asks(nodens.port, "127.0.3.98", [service]);
    await page.clock.runFor(5000);
    expect(await pods()).toContain("3 pods");
    await page.evaluate("document.activeElement.blur()");
    await page.clock.runFor(2500);
    await page.locator(".ribbon", { hasText: "4 pods" }).waitFor();
  });

  test("asks nobody else for anything, breaks no policy, and weighs less than 100 kB", async () => {
    const { page, requests, complaints } = await open(`/?explain=${outside}&namespace=shop`);
    await page.clock.runFor(2500);
    await page.waitForLoadState("networkidle");
    expect(requests.length).toBeGreaterThan(1);
    expect(requests.filter((url) => !url.startsWith(`${nodens.adminUrl}/`) && url !== "data:,")).toEqual([]);
    expect(complaints).toEqual([]);
    expect((await page.content()).length).toBeLessThan(100_000);
  });

  const looks: Readonly<Record<string, { readonly look: Look; readonly isDark: boolean }>> = {
    "in light": { look: { colorScheme: "light" }, isDark: false },
    "in the dark": { look: { colorScheme: "dark" }, isDark: true },
    "with the colours of those who need contrast": {
      look: { colorScheme: "dark", forcedColors: "active" },
      isDark: true,
    },
  };
  for (const [how, { look, isDark }] of Object.entries(looks)) {
    test(`can be read ${how}`, async () => {
      const { page } = await open();
      await page.emulateMedia({ colorScheme: look.colorScheme ?? null, forcedColors: look.forcedColors ?? null });
      const ground = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
      expect(luminance(ground) < 0.2).toBe(isDark);
      for (const selector of [
        "h1",
        "h1 span",
        "h2 small",
        "p.soft",
        "td",
        "th",
        "code",
        "footer",
        ".pill",
        "#explain button",
      ]) {
        const ink = await styleOf(page, selector, "color");
        expect(contrast(ink, ground), `${selector}, ${ink} on ${ground}`).toBeGreaterThan(4.5);
      }
      for (const selector of [".ribbon text", ".ribbon .soft", ".strip text"]) {
        const ink = await styleOf(page, selector, "fill");
        expect(contrast(ink, ground), `${selector}, ${ink} on ${ground}`).toBeGreaterThan(4.5);
      }
    });
  }

  test("fits a narrow window", async () => {
    const { page } = await open(`/?explain=${outside}`);
    await page.setViewportSize({ width: 360, height: 700 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
  });

  test("in a narrow window begins with where queries end and with what is newest, and stays where it was moved to", async () => {
    const { page } = await open();
    await page.setViewportSize({ width: 360, height: 700 });
    for (const text of ["rules", "now"]) {
      const box = await page.locator("svg text", { hasText: text }).first().boundingBox();
      expect(box?.x).toBeGreaterThan(0);
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(360);
    }
    const moved = () => page.evaluate<number>("document.querySelector('.scroll').scrollLeft");
    await page.evaluate("document.querySelector('.scroll').scrollLeft = 90");
    await asks(nodens.port, "127.0.3.97", [service]);
    const before = await page.locator(".ribbon").textContent();
    await page.clock.runFor(2500);
    await expect.poll(() => page.locator(".ribbon").textContent()).not.toBe(before);
    expect(await moved()).toBe(90);
  });

  test("prints without what only works on a screen", async () => {
    const { page } = await open();
    await page.emulateMedia({ media: "print" });
    expect(await page.locator("h1").isVisible()).toBe(true);
    expect(await page.locator(".strip").isVisible()).toBe(true);
    for (const selector of ["#explain", "#record", "footer", "details"])
      expect(await page.locator(selector).isVisible()).toBe(false);
  });

  test("shows no name where the settings say so", async () => {
    const silent = await startPlanted({ seen: { names: "off" } });
    onTestFinished(async () => void (await silent.stop()));
    const { page } = await open("/", silent.adminUrl);
    const text = await page.locator("main").innerText();
    expect(text).toContain(searching);
    expect(text.slice(0, text.indexOf("Explain a lookup"))).not.toMatch(/example|kubernetes|cluster\.local/);
  });
});

/** A property of the first element that a selector finds, as the browser shows it. */
async function styleOf(page: Page, selector: string, property: "color" | "fill"): Promise<string> {
  return String(
    await page.evaluate(`getComputedStyle(document.querySelector(${JSON.stringify(selector)})).${property}`),
  );
}

/** WCAG's contrast between two colours as a browser tells them, "rgb(1, 2, 3)". */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const parts = /^rgba?\((\d+), (\d+), (\d+)/.exec(colour)?.slice(1);
  if (parts === undefined) throw new Error(`'${colour}' is not a colour`);
  const [red = 0, green = 0, blue = 0] = parts.map((part) => {
    const share = Number(part) / 255;
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
