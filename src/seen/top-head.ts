/*
 * What the first line says of this nodens, on the screen and on the page.
 */
import { ageText } from "./number-text.ts";

/** What nodens says of itself. */
export interface TopHead {
  readonly version: string;
  readonly node: string;
  readonly mode: string;
  readonly isReady: boolean;
  readonly isFailOpen: boolean;
  /** For how long everything that the mode puts on the node has been in place; undefined while it is not, and for modes that put nothing there. */
  readonly inForceSeconds: number | undefined;
  /** How old the settings in force are. */
  readonly settingsSeconds: number;
  readonly upSeconds: number;
}

/** Whether it answers nobody, so that what it would answer and save is told as that. */
export function onlyWatches({ mode }: { readonly mode: string }): boolean {
  return mode === "observe";
}

/** The mode and the state, in words; `isBad` marks what somebody should see to. */
export function headWords(head: TopHead): { readonly text: string; readonly isBad: boolean }[] {
  const { mode, isReady, isFailOpen, inForceSeconds, settingsSeconds, upSeconds } = head;
  const said = (text: string, isBad = false) => ({ text, isBad });
  return [
    said(inForceSeconds === undefined ? mode : `${mode}, in force ${ageText(inForceSeconds)}`),
    isFailOpen ? said("FAIL-OPEN: pods ask kube-dns", true) : isReady ? said("ready") : said("NOT READY", true),
    said(`settings ${ageText(settingsSeconds)} old`),
    said(`up ${ageText(upSeconds)}`),
  ];
}
