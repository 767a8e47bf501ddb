#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# distros.sh SUITE...: in a fresh root of each: a clone of what is committed, and `./dev test --quick` there. Then the
# units are verified by the systemd of the suite, the Debian package is built where lintian is to accept it, and systemd
# is booted: a reload with an error has to fail, and the daemon to stay.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/guests/debian.sh
renice -n 19 $$ >/dev/null

# What runs in the root.
inside='set -e
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -o remount,bind,ro /sys/fs/cgroup
echo "Acquire::Check-Valid-Until no;" >/etc/apt/apt.conf.d/90twtuned
cd /twtuned
./dev test --quick
apt-get install -y -qq --no-install-recommends systemd >/dev/null 2>&1
ninja -C build install >/dev/null
systemd-analyze --version | head -n 1
systemd-analyze --man=no verify /usr/lib/systemd/system/twtuned*
case $1 in bookworm | trixie) ./dev package ;; esac'

# A unit that systemd starts instead of all else.
reload='[Service]
Type=oneshot
ExecStart=/bin/sh -ec "systemctl start twtuned; systemctl reload twtuned; echo [oops] >/etc/twtuned.conf; \
        systemctl reload twtuned && exit 1; systemctl is-active twtuned; touch /reload-refused"
ExecStopPost=systemctl --no-block poweroff'

# refuses_reload ROOT WORK: boots the systemd of the root. Later ones than 257 need cgroup2, which this machine need not have.
refuses_reload() {
        echo "$reload" >"$2/upper/etc/systemd/system/reload.service"
        unshare --mount bash -ec '
                mount -t overlay -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" overlay "$2/root"
                systemd-nspawn --quiet --directory="$2/root" --private-network --register=no --keep-unit --console=pipe \
                        --boot SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unit=reload.service' boot "$@"
        [ -e "$2/upper/reload-refused" ]
}

# distro SUITE: in a mount namespace of its own, so that nothing stays mounted, and under an overlay that is of this run alone
distro() {
        local root work=$images/work/$1.$$
        root=$(debian_root "$1" "$1") || return 1
        rm -rf --one-file-system "$work"
        mkdir -p "$work/upper"
        git clone -q . "$work/upper/twtuned"
        debian_overlay "$root" "$work" "$images/debs/$1" 'exec chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
                DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -c "$2" inside "$3"' "$inside" "$1" &&
                { [ "$1" = sid ] || refuses_reload "$root" "$work"; }
}

failed=()
for suite; do
        start=$SECONDS result=passed
        mkdir -p "$images/logs"
        distro "$suite" >"$images/logs/$suite" 2>&1 </dev/null || { failed+=("$suite") result=failed; }
        [ $result = passed ] || tail -n 30 "$images/logs/$suite"
        rm -rf --one-file-system "$images/work/$suite.$$"
        echo "$suite: $result in $((SECONDS - start)) s: $(grep -E ' passed, [0-9]+ failed' "$images/logs/$suite")"
done
[ ${#failed[@]} -eq 0 ]
