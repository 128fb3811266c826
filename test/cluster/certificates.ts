/*
 * A cluster's keys: one authority, a certificate for each program, and the files by which clients find and trust the API server.
 */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A certificate and its key, as files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Makes the keys of one cluster. */
export interface Authority {
  /** The authority's own certificate. */
  readonly certificate: string;
  readonly serviceAccounts: { readonly publicKey: string; readonly privateKey: string };
  /** A certificate for a server with these names and addresses. */
  makeServer(name: string, alternatives: readonly string[]): Promise<KeyPair>;
  /** A certificate by which the API server knows a user of these groups. */
  makeClient(name: string, user: string, groups?: readonly string[]): Promise<KeyPair>;
  /** The same with a kubeconfig file around it, whose path it returns. */
  makeKubeconfig(name: string, user: string, groups?: readonly string[]): Promise<string>;
}

/** Makes an authority whose files are in `folder`, for an API server at `serverUrl`. Needs openssl. */
export async function makeAuthority(folder: string, serverUrl: string): Promise<Authority> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(folder, name);
  const certificate = file("ca.crt");
  const settings = file("openssl.cnf");
  writeFileSync(settings, "[req]\ndistinguished_name = subject\n[subject]\n");
  const request = (name: string, subject: string, more: readonly string[]) =>
    run("openssl", [
      ...["req", "-x509", "-config", settings, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-days", "365", "-subj", subject, "-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)],
      ...more.flatMap((extension) => ["-addext", extension]),
      ...(name === "ca" ? [] : ["-CA", certificate, "-CAkey", file("ca.key")]),
    ]);
  await request("ca", "/CN=nodens-cluster", ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]);
  const serviceAccounts = { publicKey: file("service-accounts.pub"), privateKey: file("service-accounts.key") };
  const curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  await run("openssl", ["genpkey", ...curve, "-out", serviceAccounts.privateKey]);
  await run("openssl", ["pkey", "-in", serviceAccounts.privateKey, "-pubout", "-out", serviceAccounts.publicKey]);

  async function make(name: string, subject: string, extensions: readonly string[]): Promise<KeyPair> {
    await request(name, subject, ["basicConstraints=critical,CA:FALSE", ...extensions]);
    return { certificate: file(`${name}.crt`), key: file(`${name}.key`) };
  }

  async function makeClient(name: string, user: string, groups: readonly string[] = []): Promise<KeyPair> {
    const subject = [...groups.map((group) => `/O=${group}`), `/CN=${user}`].join("");
    return make(name, subject, ["extendedKeyUsage=clientAuth"]);
  }

  return {
    certificate,
    serviceAccounts,
    makeClient,
    makeServer(name, alternatives) {
      const typed = alternatives.map((each) => `${/^[\d.]+$/.test(each) ? "IP" : "DNS"}:${each}`);
      return make(name, `/CN=${name}`, ["extendedKeyUsage=serverAuth", `subjectAltName=${typed.join(",")}`]);
    },
    async makeKubeconfig(name, user, groups) {
      const pair = await makeClient(name, user, groups);
      const path = file(`${name}.kubeconfig`);
      // JSON is YAML.
      writeFileSync(path, JSON.stringify(kubeconfig(serverUrl, certificate, pair)));
      return path;
    },
  };
}

function kubeconfig(server: string, authority: string, { certificate, key }: KeyPair): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "cluster", cluster: { server, "certificate-authority": authority } }],
    users: [{ name: "user", user: { "client-certificate": certificate, "client-key": key } }],
    contexts: [{ name: "cluster", context: { cluster: "cluster", user: "user" } }],
    "current-context": "cluster",
  };
}
