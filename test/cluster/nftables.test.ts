import { clusterRows } from "./cluster-rows.ts";

clusterRows("nftables");
