// Drives a browser as its standard input says, a command a line as JSON, and answers each with a line.
//
// Whatever a page does that none of ours may do is noted: a script that is not ours, a request to somewhere else, a dialog,
// an error. `troubles` tells it.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.DOVETAIL_BROWSER}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PATIENCE = 15_000;
const browser = await chromium.launch({
  executablePath: process.env.DOVETAIL_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
  ],
});

let troubles = [];
let origin;
let context, page;

async function open({ width = 1280, height = 800, dark = false, script = true }) {
  const kept = context ? await context.storageState() : undefined;
  await context?.close();
  context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? "dark" : "light", javaScriptEnabled: script, storageState: kept,
    reducedMotion: "reduce", timezoneId: "Europe/London", locale: "en-GB",
  });
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(() => {
    for (const name of ["alert", "confirm", "prompt", "print"]) {
      window[name] = () => console.error(`ran: ${name}`);
    }
  });
  page = await context.newPage();
  page.on("dialog", (dialog) => {
    troubles.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("pageerror", (error) => troubles.push(`a page failed: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    // That a page is not found, or refused, is what some stories are about; a server that is gone, too.
    if (/status of (400|403|404)|ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(message.text())) return;
    troubles.push(`an error: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (origin && url.origin !== origin && url.protocol !== "about:") troubles.push(`asks ${request.url().slice(0, 200)}`);
  });
  page.on("popup", () => troubles.push("another window opens"));
}

const named = (name) => page.getByRole("button", { name, exact: true }).or(page.getByRole("link", { name, exact: true })).first();

const commands = {
  open,
  go: async ({ to }) => {
    if (origin === undefined) origin = new URL(to).origin;
    const answer = await page.goto(to);
    return answer?.status();
  },
  // Whose pages are no trouble from now on.
  at: async ({ to }) => void (origin = to && new URL(to).origin),
  click: async ({ name }) => {
    await named(name).click();
    await page.waitForLoadState();
  },
  fill: async ({ label, text }) => page.getByLabel(label, { exact: false }).first().fill(text),
  choose: async ({ label, text }) => page.getByLabel(label, { exact: false }).first().selectOption(text),
  unfold: async ({ name }) => page.locator("summary", { hasText: name }).first().click(),
  // Waits until it is seen, without asking for the page anew.
  see: async ({ text }) => page.getByText(text).locator("visible=true").first().waitFor(),
  gone: async ({ text }) => page.waitForFunction((text) => !document.body.innerText.includes(text), text),
  count: async ({ name }) => named(name).count(),
  text: async () => page.locator("body").innerText(),
  url: async () => page.url(),
  press: async ({ key }) => page.keyboard.press(key),
  focused: async () => page.evaluate(() => document.activeElement?.innerText ?? ""),
  eval: async ({ script }) => page.evaluate(script),
  size: async () =>
    page.evaluate(async () => {
      const answer = await fetch(location.href);
      const wide = document.documentElement.scrollWidth - innerWidth;
      return { bytes: (await answer.text()).length, wide, painted: performance.getEntriesByType("paint").map((one) => one.startTime) };
    }),
  // When the first of it was seen, in milliseconds after it was asked for.
  painted: async () =>
    page.evaluate(async () => {
      const first = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
      while (first() === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
      return first();
    }),
  axe: async () => {
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return found.violations
      .filter((one) => ["serious", "critical"].includes(one.impact))
      .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 150)).slice(0, 3).join(" | ")}`);
  },
  shot: async ({ path }) => void (await page.screenshot({ path })),
  troubles: async () => troubles.splice(0),
};

await open({});
for await (const line of createInterface({ input: process.stdin })) {
  const { what, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: (await commands[what](rest)) ?? null }));
  } catch (error) {
    const seen = await page.locator("body").innerText().catch(() => "");
    console.log(JSON.stringify({ failed: `${error.message}\nat ${page.url()}:\n${seen.slice(0, 3000)}`, troubles }));
  }
}
await browser.close();
