import { twoNodeClusterRows } from "./cluster-rows.ts";

twoNodeClusterRows("nftables");
