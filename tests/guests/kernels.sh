#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# kernels.sh [VERSION...]: boots Debian's kernels under qemu, without KVM, and runs checks.py in each; then writes
# docs/kernels.md. CHECKS: regexes of the names of programs; only these run, and the results of the others are kept.
# MEMORY: of the guest, in MiB.
# kernels.sh --peers: runs bench/peers.py instead, in one guest with the newest kernel and the packages of sid.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/guests/debian.sh
tree=$PWD
packages="busybox-static iproute2 iputils-ping kmod libinih1 libjansson4 libmnl0 libsubunit0 libsystemd0 nftables procps"
packages+=" python3 systemd"
name=guest suite=$(. /etc/os-release && echo "$VERSION_CODENAME") program=tests/guests/checks.py
if [ "${1-}" = --peers ]; then
        name=peers suite=sid program=bench/peers.py packages+=" bpftune dbus libpam-systemd tuned"
fi

# image DIRECTORY FILE: an ext4 image, with some room
image() {
        rm -f "$2"
        mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$1" "$2" "$(($(du -sm "$1" | cut -f 1) * 5 / 4 + 32))M"
}

# modules KERNEL DIRECTORY: the modules of a kernel that the tests need, as /lib/modules
modules() {
        local from version part
        from=$(find "$1" -maxdepth 5 -type d -path '*lib/modules/[0-9]*' -prune)
        version=$(basename "$from")
        mkdir -p "$2/lib/modules/$version"
        for part in net drivers/net/veth drivers/net/dummy drivers/block drivers/virtio fs/ext4 fs/jbd2 fs/mbcache \
                fs/overlayfs lib crypto arch; do
                (cd "$from" && find kernel/$part* -name '*.ko*' -exec cp --parents -t "$2/lib/modules/$version" {} + \
                        2>/dev/null || true)
        done
        cp "$from"/modules.{builtin,order}* "$2/lib/modules/$version"
        depmod -b "$2" "$version"
        echo "$version"
}

# initrd MODULES VERSION FILE: busybox, init and the modules that mount the root
initrd() {
        local dir module file
        dir=$(mktemp -d)
        mkdir -p "$dir"/{bin,proc,sys,dev,modules,lower,upper,root,guest}
        cp "$(command -v busybox)" "$dir/bin/busybox"
        cp tests/guests/init "$dir/init"
        chmod +x "$dir/init"
        for module in virtio_pci virtio_blk ext4 overlay; do
                modprobe -d "$1" -S "$2" --show-depends $module
        done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
                module=$(basename "$file")
                module=${module%%.ko*}.ko
                case $file in *.xz) xz -dc "$file" ;; *.zst) zstd -dcq "$file" ;; *) cat "$file" ;; esac \
                        >"$dir/modules/$module"
                echo "$module" >>"$dir/modules/order"
        done
        (cd "$dir" && find . | cpio -o -H newc --quiet | gzip -1) >"$3"
        rm -r "$dir"
}

# guest KERNEL DIRECTORY NAME CHECKS: what it prints goes into a file console.NAME there. Its clock counts its instructions,
# and jumps to the next timer where there is nothing to do: however busy this machine is, it is a fast one by its own clock,
# and waiting costs nothing. mitigations=off: nobody attacks its processor, and mitigations are slow in emulation.
guest() {
        local work version kernel console=$2/console.$3
        work=$(mktemp -d)
        mkdir -p "$2" "$work/image/tree"
        version=$(modules "$1" "$work/modules")
        initrd "$work/modules" "$version" "$work/initrd"
        cp -al "$work/modules/lib/modules" "$work/image/modules"
        tar -c --exclude='*.p' --exclude='*.a' --exclude=.git --exclude='./build-*' . | tar -x -C "$work/image/tree"
        image "$work/image" "$work/work.ext4"
        rm -r "$work/image"
        kernel=$(find "$1" -name 'vmlinuz*' -type f)
        touch "$console.start"
        timeout "${LIMIT:-3600}" qemu-system-x86_64 -accel tcg,thread=single -cpu max,-erms -smp 1 \
                -icount shift=2,align=off,sleep=off -rtc clock=vm \
                -m "${MEMORY:-2048}" -nographic -no-reboot -nodefaults -serial file:"$console" \
                -kernel "$kernel" -initrd "$work/initrd" \
                -append "console=ttyS0 panic=-1 quiet mitigations=off TREE=$tree PROGRAM=$program CHECKS=\"$4\"" \
                -drive if=virtio,format=raw,readonly=on,file="$images/$name.ext4" \
                -drive if=virtio,format=raw,readonly=on,file="$work/work.ext4" </dev/null >"$console.qemu" 2>&1 || cat "$console.qemu"
        rm -r "$work"
}

root=$(debian_root $name "$suite" $packages)
[ "$images/$name.ext4" -nt "$root" ] || image "$root" "$images/$name.ext4"
if [ $name = peers ]; then
        guest "$(debian_kernel newest)" "$images/results-peers" peers "${2-}"
        exec cat "$images/results-peers/console.peers"
fi
# What has been seen so far is kept, also of a run that is interrupted.
write_table() {
        python3 tests/guests/table.py "$images/results" >docs/kernels.md.new && mv docs/kernels.md.new docs/kernels.md
}
trap write_table EXIT

failed=0
for series; do
        kernel=$(debian_kernel "$series")
        start=$SECONDS results=$images/results/$series
        if [ "${CHECKS-}" ]; then
                guest "$kernel" "$results" "$(date +%s)" "$CHECKS"
        else # a guest uses one processor
                rm -rf "$results"
                guest "$kernel" "$results" second second &
                guest "$kernel" "$results" first first
                wait
        fi
        summary=$(python3 tests/guests/table.py --summary "$results") || failed=1
        echo "$series: $((SECONDS - start)) s: $summary"
        write_table
done
[ $failed -eq 0 ]
