/* docs/settings.md and docs/settings.schema.json, both written from the table of settings. */
import { z } from "zod";
import { settingNotes, type SettingNotes } from "../src/settings/setting-kinds.ts";
import { settingsSchema } from "../src/settings/settings-table.ts";
import { tableEntries, type TableEntry } from "../src/settings/table-entries.ts";

const lead = `# Settings

This page is generated from the table of settings in \`src/settings/\` (\`npm run docs\`).

nodens reads one YAML file, named with \`--config FILE\`. Every setting has a default, but the servers to ask:
\`upstream.servers\`, or \`upstream.embedded\` for trying nodens. Command-line flags override the file, and the file overrides the
defaults.

- **Variables.** \`\${NAME}\` in a value is replaced by the environment variable of that name; \`\${NAME:-default}\` gives a
  default for a variable that is unset or empty; \`$\${\` stands for a plain \`\${\`. An unset variable without a default is an error.
  Inside \`[ ]\`, put the value in quotes. IPv6 addresses with a port need brackets;
  where a variable is followed by a port, as in \`\${HOST_IP}:53\`, it gets them by itself.
- **Errors.** All errors of a file are reported at once, each as \`file:line:column\`, with what is wrong and what is allowed.
  Unknown keys are errors. nodens then exits with 78. \`nodens check FILE\` only checks, and prints the effective settings.
- **Reload.** On SIGHUP, and when the file changes (also as part of a ConfigMap), settings marked _live_ take effect at once.
  Those marked _restart_ keep their old value until nodens is restarted. A file with errors changes nothing, nor
  does an empty one, or one that ends in the middle of a line of the settings in force.
- **Editors.** [settings.schema.json](settings.schema.json) is the JSON Schema of the file.

## Example

\`\`\`yaml
listen:
  addresses:
    - \${HOST_IP}:53
    - 169.254.20.10:53
admin:
  address: \${HOST_IP}:9253
upstream:
  servers:
    - \${KUBE_DNS_SERVICE_HOST}
  stubDomains:
    corp.example:
      - 192.0.2.53
      - 192.0.2.54:5353
cache:
  answersBytes: 64MiB
log:
  level: \${LOG_LEVEL:-info}
\`\`\`
`;

/** The text of docs/settings.md: a lead, an example, and one table for each top-level group. */
export function settingsPage(): string {
  return [...tableEntries.values()].map(renderEntry).reduce((page, part) => page + part, lead);
}

/** The text of docs/settings.schema.json. */
export function settingsJsonSchema(): string {
  const schema = z.toJSONSchema(settingsSchema, {
    io: "input",
    override({ zodSchema, jsonSchema }) {
      const notes = settingNotes.get(zodSchema);
      if (notes !== undefined) jsonSchema.description = `${notes.help} Allowed: ${notes.allowed}.`;
      // Variables are replaced before the check, so that an editor sees text where a number or a word will be.
      if (notes !== undefined && jsonSchema.type !== "array" && jsonSchema.type !== "object")
        allowVariables(jsonSchema);
    },
  });
  return `${JSON.stringify({ title: "nodens settings", ...schema }, undefined, 2)}\n`;
}

function allowVariables(schema: z.core.JSONSchema.BaseSchema): void {
  if (schema.type === "string" && schema.enum === undefined) return;
  const plain: Record<string, unknown> = {};
  for (const key of Object.keys(schema).filter((name) => name !== "description" && name !== "default")) {
    plain[key] = schema[key];
    delete schema[key];
  }
  Object.assign(schema, { anyOf: [plain, { type: "string", pattern: "\\$\\{" }] });
}

const tableHead = `
| setting | default | allowed | unit | on reload | what it does |
| ------- | ------- | ------- | ---- | --------- | ------------ |
`;

function renderEntry({ path, notes, groupHelp }: TableEntry): string {
  if (notes !== undefined) return renderRow(path, notes);
  return path.includes(".") ? "" : `\n## ${path}\n\n${groupHelp}\n${tableHead}`;
}

function renderRow(path: string, { default: written, allowed, unit, effect, flag, help }: SettingNotes): string {
  const sentences = flag === undefined ? help : `${help} Flag: \`${flag.name}\`.`;
  const cells = [`\`${path}\``, renderDefault(written), allowed, unit, effect, sentences];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
}

function renderDefault(written: unknown): string {
  const text = (value: unknown): string => `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
  if (!Array.isArray(written) || written.length === 0) return text(written);
  return written.map(text).join(", ");
}
