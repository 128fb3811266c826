/*
 * As much of the Kubernetes API as Prometheus's discovery of pods asks: the list of pods, by itself or as the beginning of a watch, on
 * which nothing happens afterwards.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A pod as the API has it: with labels, and whatever else. */
export interface ListedPod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** A server that runs. */
export interface PodListServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves the pods, on loopback. A label selector of the form "a=b,c=d" is obeyed. Stop it at the end of the test or suite. */
export async function startPodListServer(pods: readonly ListedPod[]): Promise<PodListServer> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
    response.setHeader("content-type", "application/json");
    if (pathname !== "/api/v1/pods") {
      response.writeHead(404).end("{}");
      return;
    }
    const selector = searchParams.get("labelSelector") ?? "";
    const items = pods.filter(({ metadata: { labels = {} } }) => isSelected(labels, selector)).map(asStored);
    if (!searchParams.has("watch")) {
      const list = { kind: "PodList", apiVersion: "v1", metadata: { resourceVersion }, items };
      response.end(JSON.stringify(list));
      return;
    }
    const added = searchParams.has("sendInitialEvents") ? items.map((object) => ({ type: "ADDED", object })) : [];
    for (const event of [...added, endOfList]) response.write(`${JSON.stringify(event)}\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const resourceVersion = "1";

/** After the pods that are there comes what happens to them. */
const endOfList = {
  type: "BOOKMARK",
  object: {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { resourceVersion, annotations: { "k8s.io/initial-events-end": "true" } },
  },
};

function asStored(pod: ListedPod): object {
  return { kind: "Pod", apiVersion: "v1", ...pod, metadata: { ...pod.metadata, resourceVersion } };
}

function isSelected(labels: Readonly<Record<string, string>>, selector: string): boolean {
  const wanted = selector.split(",").filter((part) => part !== "");
  return wanted.every((part) => {
    const [name = "", value] = part.split("=");
    return labels[name] === value;
  });
}
