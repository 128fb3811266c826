/*
 * Defaults of settings that commands go by too. They stand apart from the table of settings, so that these commands need not load it: they run
 * beside the server, within its memory limit.
 */

/** Where the admin server listens: "ADDR:PORT". */
export const defaultAdminAddress = "127.0.0.1:9253";

/** The zone of the cluster, as text. */
export const defaultClusterDomain = "cluster.local";
