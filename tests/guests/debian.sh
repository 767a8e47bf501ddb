# SPDX-License-Identifier: MIT
# To be sourced. Roots of Debian's releases, from the mirror of this machine's own apt sources. What was fetched stays in
# $images; where TWTUNED_IMAGES is not set that is a directory of the user's cache.
debian_sh=$(readlink -f "${BASH_SOURCE[0]}")
images=${TWTUNED_IMAGES:-${XDG_CACHE_HOME:-$HOME/.cache}/twtuned}

# debian_mirror debian|debian-security
debian_mirror() {
        apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
                sed -n "s|/$1/*\$|/$1/|p" | head -n 1
}

# Makes the root of a suite, with these packages besides the essential ones, unless it is there. Prints its path.
# debian_root NAME SUITE [PACKAGE...]
debian_root() {
        local root=$images/root/$1 debs=$images/debs/$2 include
        if [ ! -d "$root" ]; then
                include=$(IFS=,; echo "${*:3}")
                mkdir -p "$debs" "$images/root"
                rm -rf --one-file-system "$root.new"
                nice -n 19 debootstrap --variant=minbase ${include:+--include="$include"} --cache-dir="$debs" "$2" \
                        "$root.new" "$(debian_mirror debian)" >"$images/root/$1.log" 2>&1 ||
                        { tail -n 20 "$images/root/$1.log" >&2; return 1; }
                mv "$root.new" "$root"
        fi
        echo "$root"
}

# Runs a script, outside of the root, in a mount namespace of its own in which WORK/root is the root with an overlay, the
# files of WORK/upper, and /proc, /sys and /dev; $1 of the script is WORK/root. DEBS keeps what apt fetches.
# debian_overlay ROOT WORK DEBS SCRIPT [ARGUMENT...]
debian_overlay() {
        mkdir -p "$2"/{upper,work,root} "$3/partial"
        unshare --mount --pid --fork --kill-child bash -ec '
                root=$2/root
                mount -t overlay -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" overlay "$root"
                mount --rbind /dev "$root/dev"
                mount --bind "$3" "$root/var/cache/apt/archives"
                mount -t proc proc "$root/proc"
                mount -t sysfs sysfs "$root/sys"
                cp /etc/resolv.conf "$root/etc/"
                echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
                exec bash -c "$4" overlay "$root" "${@:5}"' overlay "$@"
}

# apt as if nothing were installed, with the suites that have kernels: debian_apt COMMAND ARGUMENT...
debian_apt() {
        local dir=$images/apt suite
        if [ ! -e "$dir/apt.conf" ]; then
                mkdir -p "$dir/lists" "$dir/etc"
                touch "$dir/status"
                for suite in bullseye bookworm trixie trixie-backports sid; do
                        echo "deb [check-valid-until=no] $(debian_mirror debian) $suite main"
                done >"$dir/sources.list"
                for suite in bullseye bookworm trixie; do
                        echo "deb [check-valid-until=no] $(debian_mirror debian-security) $suite-security main"
                done >>"$dir/sources.list"
                cat >"$dir/apt.conf" <<EOF
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "$dir/etc";
Dir::Etc::preferencesparts "$dir/etc";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir";
Acquire::Languages "none";
APT::Sandbox::User "root";
EOF
                APT_CONFIG=$dir/apt.conf apt-get update -qq >&2
        fi
        APT_CONFIG=$dir/apt.conf nice -n 19 "$@"
}

# Unpacks Debian's newest kernel of a series (5.10) or of all (newest), unless it is there. Prints its path.
debian_kernel() {
        local series=${1/newest/[0-9]} version dir
        version=$(debian_apt apt-cache madison "linux-image-$(dpkg --print-architecture)" | cut -d '|' -f 2 | tr -d ' ' |
                grep "^${series//./\\.}\." | sort -V | tail -n 1)
        dir=$images/kernels/$version
        if [ ! -d "$dir" ]; then
                rm -rf "$dir.new"
                mkdir -p "$dir.new/debs"
                (
                        cd "$dir.new/debs"
                        packages=$(debian_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
                                --no-breaks --no-replaces --no-enhances \
                                "linux-image-$(dpkg --print-architecture)=$version" | grep -E '^linux-[a-z]+-[0-9]' | sort -u)
                        # The list may have packages of another suite's kernel, too.
                        release=$(sed -n 's/^linux-image-//p' <<<"$packages")
                        grep -F -- "-$release" <<<"$packages" |
                                xargs bash -c '. "$0"; debian_apt apt-get download -qq "$@"' "$debian_sh" >&2
                        for deb in *.deb; do dpkg-deb -x "$deb" ..; done
                )
                rm -r "$dir.new/debs"
                mv "$dir.new" "$dir"
        fi
        echo "$dir"
}
