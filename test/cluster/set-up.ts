/*
 * Before the cluster's tests, once for both clusters: what takes minutes the first time. After them: the page of what they found.
 */
import { join } from "node:path";
import { clusterRequirements } from "./cluster.ts";
import { buildNodensImage, buildSmallImages } from "./images.ts";
import { buildPrograms, cacheFolder } from "./programs.ts";
import { forgetFindings, pagePath, type Tested, writePage } from "./report.ts";
import { missingRequirements } from "../support/program/requirements.ts";

/** Where the page goes: into the checkout for `npm run test:cluster`, which asks for it; otherwise beside what is kept between runs. */
const page = process.env["NODENS_WRITE_TESTED"] === "1" ? pagePath : join(cacheFolder, "tested.md");

let tested: Tested | undefined;

/** Compiles what is not there yet. Does nothing where the tests are skipped. */
export async function setup(): Promise<void> {
  if (missingRequirements(["CI=true", ...clusterRequirements]).length > 0) return;
  const print = (line: string) => void process.stderr.write(`${line}\n`);
  const programs = await buildPrograms(print);
  await buildSmallImages(programs, print);
  tested = { programs, image: await buildNodensImage(print) };
  forgetFindings();
}

/** Writes the page. */
export function teardown(): void {
  if (tested !== undefined) writePage(page, tested);
}
