#!/bin/sh
# Removes a cluster when standard input ends, which is when the program that made it ends, however it does. When standard input
# said "keep", the cluster stays: `clean-up.sh … </dev/null` removes it another time.
#
#     clean-up.sh FOLDER KEEPER CGROUP
#
# FOLDER has everything of the cluster, the file `keeper` with a process id among it. All its processes live in that one's PID namespace, and
# its network and mounts in namespaces that end with them. KEEPER is the program that this process must be running. CGROUP is the
# name of the cluster's cgroup in each hierarchy.
folder=$1 keeper=$2 cgroup=$3
trap '' INT TERM HUP
[ "$(cat)" = keep ] && exit 0
pid=$(cat "$folder/keeper" 2>/dev/null)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe")" = "$keeper" ]; then
  kill -KILL "$pid"
  while [ -e "/proc/$pid" ]; do sleep 0.1; done
fi
# A cgroup is busy until the kernel has done with its last process.
for _ in $(seq 100); do
  left=$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$cgroup" 2>/dev/null)
  [ -z "$left" ] && break
  for each in $left; do find "$each" -depth -type d -exec rmdir {} + 2>/dev/null; done
  sleep 0.1
done
rm -rf --one-file-system "$folder"
