#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# rpm_root.sh OLD.rpm NEW.rpm: installs, upgrades and erases the package in a root of its own, as for an image, where no
# systemd runs. It is this machine's, under an overlay. Nothing may be left but the system user.
set -euo pipefail
[ "${2-}" ] || { echo "usage: rpm_root.sh OLD.rpm NEW.rpm" >&2; exit 64; }
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir "$work/tmpfs"
cp "$1" "$work/old.rpm"
cp "$2" "$work/new.rpm"

# What runs in the root. Each step: its name, the command, what must be true then.
inside='set -eu
step() { echo "rpm_root: $1"; shift; "$@" || { echo "rpm_root: failed: $*" >&2; exit 1; }; }
none() { [ -z "$(ls -d "$@" 2>/dev/null)" ]; }
wants=/etc/systemd/system/multi-user.target.wants/twtuned.service
mkdir -p /var/lib/rpm
step install rpm --nodeps -i /old.rpm
step "the user is there" getent passwd twtuned
step "the program runs" twtuned --version
step "the policy is good" twtuned --check
step enable systemctl --quiet enable twtuned.service
step "the unit is enabled" test -L $wants
echo "[daemon]" >>/etc/twtuned.conf
step upgrade rpm --nodeps -U /new.rpm
step "one is installed" test "$(rpm -q twtuned | wc -l)" = 1
step "the unit is enabled as before" test -L $wants
step "the configuration is kept" grep -q "^.daemon.$" /etc/twtuned.conf
step erase rpm -e twtuned
step "no unit is left" none $wants /etc/systemd/system/twtuned*'

unshare --mount --pid --fork --kill-child bash -ec '
        mount -t tmpfs tmpfs "$1/tmpfs"
        mkdir "$1/tmpfs"/{upper,work,root}
        mount -t overlay -o lowerdir=/,upperdir="$1/tmpfs/upper",workdir="$1/tmpfs/work" overlay "$1/tmpfs/root"
        cd "$1/tmpfs"
        cp "$1"/{old,new}.rpm root/
        mount --rbind /dev root/dev
        for dir in run tmp; do mount -t tmpfs tmpfs root/$dir; done
        mount -t proc proc root/proc
        chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root bash -c "$2"
        find upper ! -type d ! -path "upper/var/lib/rpm/*" ! -path "upper/root/.rpmdb/*" | sed "s|^upper||" | sort >left
        find upper -name "*twtuned*" | sed "s|^upper||" >>left
        grep -vE "^/(old|new)\.rpm$|^/etc/\.pwd\.lock$|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^/etc/twtuned.conf.rpmsave$" left \
                >unexpected || exit 0
        echo "rpm_root: left behind:"
        cat unexpected
        exit 1' rpm_root "$work" "$inside"
