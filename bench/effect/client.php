<?php
// SPDX-License-Identifier: MIT
// A client that connects anew for each query, in turn to each HOST, as fast as it can: php client.php redis|http LOG
// SECONDS PORT HOST... Writes to LOG a line a request: start in us since the epoch, 200 or -1, us until the answer.

function redis(string $host, int $port): bool
{
    $redis = new Redis();
    try {
        return $redis->connect(trim($host, '[]'), $port, 5) && $redis->get('key') === false && $redis->close();
    } catch (RedisException) {
        return false;
    }
}

function http(string $host, int $port): bool
{
    $curl = curl_init("http://$host:$port/");
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 5]);
    return curl_exec($curl) !== false && curl_getinfo($curl, CURLINFO_RESPONSE_CODE) === 200;
}

[, $query, $path, $seconds, $port] = $argv;
$hosts = array_slice($argv, 5);
$log = fopen($path, 'w');
stream_set_write_buffer($log, 1 << 16);
$end = microtime(true) + $seconds;
for ($n = 0; ($start = microtime(true)) < $end; $n++) {
    $ok = $query($hosts[$n % count($hosts)], (int) $port);
    fprintf($log, "%d\t%d\t%d\n", $start * 1e6, $ok ? 200 : -1, (microtime(true) - $start) * 1e6);
}
