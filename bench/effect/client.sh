#!/bin/bash
# SPDX-License-Identifier: MIT
# A process of curl for each request: client.sh http LOG SECONDS PORT HOST... Writes to LOG a line a request, as
# client.php does.
log=$2 end=$((${EPOCHREALTIME/./} + $3 * 1000000)) port=$4
hosts=("${@:5}")
for ((number = 0; (start = ${EPOCHREALTIME/./}) < end; number++)); do
        status=$(curl -s -o /dev/null -m 5 -w '%{http_code}' "http://${hosts[number % ${#hosts[@]}]}:$port/")
        echo -e "$start\t${status/000/-1}\t$((${EPOCHREALTIME/./} - start))"
done >"$log"
