/*
 * Numbers as they are told to people, alike in every view.
 */

/** A number or a rate: "7.5", "1,240". */
export function countText(value: number): string {
  return value > 0 && value < 9.95 ? value.toFixed(1).replace(".0", "") : Math.round(value).toLocaleString("en-US");
}

/** A share from 0 to 1: "81 %". */
export function percentText(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** A duration of an answer; undefined is a dash, and Infinity what lies beyond the last bucket. */
export function millisecondsText(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value === Number.POSITIVE_INFINITY) return "> 8 s";
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? Number(value.toFixed(2)) : Math.round(value)} ms`;
}

/** An age in its largest unit, days with their hours: "45 s", "12 min", "3 h", "3 d 4 h". */
export function ageText(seconds: number): string {
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (hours < 1) return `${minutes} min`;
  return days < 1 ? `${hours} h` : `${days} d ${hours % 24} h`;
}

/** "1 pod", "2 pods". */
export function countOf(count: number, thing: string, things = `${thing}s`): string {
  return `${countText(count)} ${count === 1 ? thing : things}`;
}
