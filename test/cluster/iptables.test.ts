import { clusterRows } from "./cluster-rows.ts";

clusterRows("iptables");
