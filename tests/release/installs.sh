#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# installs.sh DIRECTORY [CHECK...]: checks that each part of the release in DIRECTORY installs in a clean root, works
# there, and leaves nothing when it is removed. The roots are overlays over those of debian.sh; nothing of this host is
# changed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/guests/debian.sh
out=$(readlink -f "$1")
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
machine=$(dpkg --print-architecture)
work=$(mktemp -d "${TMPDIR:-/tmp}/twtuned-release-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

# clean NAME SCRIPT: in a fresh root of Debian 12, which has the release in /release. $1 of the script is the root.
clean() {
        local root
        root=$(debian_root bookworm bookworm)
        mkdir -p "$work/$1/upper"
        cp -a "$out" "$work/$1/upper/release"
        debian_overlay "$root" "$work/$1" "$images/debs/bookworm" "set -e; $functions $2" "$version"
}

# What the scripts share. left: fails if a file with the name is left, except in /release and in rpm's database.
functions='
in_root() { chroot "$root" env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
apt() {
        echo "Acquire::Check-Valid-Until no;" >"$root/etc/apt/apt.conf.d/90valid"
        in_root apt-get update -qq
        in_root apt-get install -y -qq --no-install-recommends "$@"
}
left() {
        local found
        found=$(cd "$root" && find . -xdev \( -path ./release -o -path ./var/lib/rpm \) -prune -o \
                -name "*twtune*" -print)
        [ -z "$found" ] || { echo "left: $found" >&2; return 1; }
}
works() {
        [ "$(in_root twtuned --version)" = "twtuned $version" ]
        [ "$(in_root twtunectl --version)" = "twtunectl $version" ]
        in_root twtuned --check
        in_root getent passwd twtuned
        in_root test -e /usr/lib/twtuned/policy.conf -a -d /etc/twtuned.conf.d
}
root=$1 version=$2
'

check_sums() { (cd "$out" && sha256sum --quiet --check SHA256SUMS); }

check_source() {
        tar -xzf "$out/twtuned-$version.tar.gz" -C "$work"
        meson setup "$work/build" "$work/twtuned-$version" -Dtests=true
        ninja -C "$work/build"
        meson test -C "$work/build" --no-rebuild --suite unit --timeout-multiplier 5
        [ "$("$work/build/twtuned" --version)" = "twtuned $version" ]
}

check_debian() {
        clean debian "apt /release/twtuned_\${version}_$machine.deb
                works
                in_root dpkg --verify twtuned
                in_root apt-get purge -y -qq twtuned
                left"
}

check_debian_source() {
        dpkg-source --extract "$out/twtuned_$version.dsc" "$work/debian-source"
        tar -xzf "$out/twtuned-$version.tar.gz" -C "$work"
        diff -r --exclude=debian --exclude=.gitignore "$work/debian-source" "$work/twtuned-$version"
}

# Debian's rpm outside of the root, which has only the libraries.
check_rpm() {
        clean rpm 'apt libinih1 libjansson4 libmicrohttpd12 libmnl0 libsystemd0
                rpm() { command rpm --root "$root" "$@"; }
                rpm --initdb
                rpm -i --nodeps "$root/release/twtuned-$version"-1.*[0-9y].rpm
                works
                [ -z "$(rpm -V --nodeps twtuned)" ]
                rpm -e --nodeps twtuned
                left'
}

check_rpm_source() {
        rpm2cpio "$out/twtuned-$version-1.src.rpm" | cpio --quiet -i --to-stdout "twtuned-$version.tar.gz" |
                tar -tz | grep -c "^twtuned-$version/meson.build\$"
}

check_image() {
        podman() {
                command podman --root="$work/storage" --runroot="$work/run" --tmpdir="$work/tmp" --storage-driver=vfs \
                        --runtime=runc --cgroup-manager=cgroupfs --events-backend=none "$@"
        }
        podman load -i "$out/twtuned-$version.oci.tar"
        [ "$(podman image inspect -f '{{index .Labels "org.opencontainers.image.version"}}' "twtuned:$version")" = \
                "$version" ]
        # Without CAP_SYS_RESOURCE no container can have more.
        limited=(--rm --net=none --ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 "localhost/twtuned:$version")
        [ "$(podman run "${limited[@]}" --version)" = "twtuned $version" ]
        podman run "${limited[@]}" --check
}

check_manifests() {
        local of top=$work/twtuned-kubernetes-$version
        tar -xzf "$out/twtuned-kubernetes-$version.tar.gz" -C "$work"
        for of in "$top/base" "$top"/overlays/*; do
                kubectl kustomize "$of" | grep -c "image: .*twtuned:$version\$"
        done
}

# In a container that has booted systemd: from the version before, under load, and back to it.
check_upgrade() {
        TWTUNED_PACKAGE=$out/twtuned_${version}_$machine.deb TWTUNED_BUILD=${TWTUNED_BUILD:-$PWD/build} \
                python3 tests/system/test_package.py --long 'version before|purge'
}

[ $# -gt 1 ] || set -- "$1" sums source debian debian_source rpm rpm_source image manifests upgrade
failed=()
for name in "${@:2}"; do
        start=$SECONDS result=installs
        (set -e; "check_$name") >"$work/log" 2>&1 </dev/null &
        wait $! || { failed+=("$name") result=FAILED; tail -n 40 "$work/log"; }
        echo "release: $name: $result, $((SECONDS - start)) s"
done
[ ${#failed[@]} -eq 0 ]
