// Opens the page as `tests/ops/page` tells it on standard input, and answers each step with its faults.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline";
import { mkdirSync } from "node:fs";

const [, , url, pictures] = process.argv;
mkdirSync(pictures, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const faults = [], pages = [];
const check = (is, text) => { if (!is) faults.push(text); };

for (const colorScheme of ["light", "dark"]) {
  for (const width of [390, 1400]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: width < 500 ? 844 : 900 } });
    const page = await context.newPage(), name = `${colorScheme}-${width}`;
    page.on("pageerror", error => faults.push(`${name}: ${error}`));
    page.on("request", request => check(request.url().startsWith(url) || request.url().startsWith("data:"), `${name} asked for ${request.url()}`));
    await page.goto(url);
    pages.push({ page, name });
  }
}

const until = async ({ page, name }, verdict) => {
  try {
    await page.waitForFunction(text => document.getElementById("verdict").textContent === text, verdict, { timeout: 30000 });
  } catch {
    faults.push(`${name}: it says ${await page.textContent("#verdict")}, not ${verdict}`);
  }
};

const steps = {
  // Everything that is there can be seen, in its colours, and nothing is wider than the screen.
  async recording(visit) {
    const { page, name } = visit;
    await until(visit, "Recording");
    await page.waitForFunction(() => parseFloat(document.querySelector(".tile b").textContent) > 0, null, { timeout: 30000 });
    check(await page.locator(".gap").count() >= 4, `${name}: gaps are missing`);
    check((await page.textContent("#gaps")).includes("healed"), `${name}: nothing is said of healing`);
    check(await page.locator(".track i").count() >= 4, `${name}: the time line is empty`);
    const lengths = await page.locator(".gap span:nth-child(2)").allTextContents();
    check(lengths.every(length => length !== "0.0 s"), `${name}: a gap has no length: ${lengths}`);
    check((await page.textContent("#connections")).match(/live/g).length === 2, `${name}: two connections are live`);
    await page.locator("details", { hasText: "trade" }).first().locator("summary").click();
    await page.waitForTimeout(2500);
    check(await page.locator("details[open] td").count() >= 40, `${name}: an open type closes with the next answer`);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    check(name.startsWith("dark") === ground[0] < 128, `${name}: its ground is ${ground}`);
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: it is wider than the screen`);
    await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
    await page.fill("#filter", "krw-btc");
    await page.waitForTimeout(300);
    check((await page.textContent("#streams-sum")).includes(" of "), `${name}: the filter does nothing`);
  },
  async lost(visit) {
    await until(visit, "Not recording");
    check((await visit.page.textContent("#reasons")).includes("NOT RECORDING"), `${visit.name}: no reason is given`);
    await visit.page.screenshot({ path: `${pictures}/${visit.name}-lost.png` });
  },
  async gone(visit) {
    await until(visit, "No answer");
    check((await visit.page.textContent("#reasons")).includes("is old"), `${visit.name}: what is old looks new`);
  },
};

for await (const step of createInterface({ input: process.stdin })) {
  for (const visit of pages) {
    try { await steps[step](visit); } catch (error) { faults.push(`${visit.name}: ${error}`); }
  }
  console.log(JSON.stringify(faults.splice(0)));
}
await browser.close();
