# SPDX-License-Identifier: MIT
# To be sourced. Roots of Debian's releases, from the mirror of this machine's own apt sources. What was fetched stays in
# $images; where TWTUNED_IMAGES is not set that is a directory of the user's cache.
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
