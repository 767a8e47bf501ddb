#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# release.sh [--draft] DIRECTORY: makes all that a release is made of, from what is committed, and checks that each
# part installs. --draft: from the files as they are now, with packages built without their unit tests. ./dev release
# runs it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
draft=no
[ "$1" != --draft ] || { draft=yes; shift; }
mkdir -p "$1"
out=$(readlink -f "$1")
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)

# The commit that is released. For a draft, `git stash create` makes one of the changes to tracked files, on no branch.
commit=$(git rev-parse HEAD)
if [ -n "$(git status --porcelain)" ]; then
        [ $draft = yes ] || { echo "release: commit first, or make a --draft" >&2; exit 1; }
        commit=$(git stash create)
        commit=${commit:-$(git rev-parse HEAD)}
fi
[ $draft = no ] || export DEB_BUILD_OPTIONS=nocheck

step() {
        local start=$SECONDS
        "$@" >"$work/log" 2>&1 || { tail -n 50 "$work/log" >&2; echo "release: failed: $*" >&2; return 1; }
        echo "release: ${*/#$work\/*\//}: $((SECONDS - start)) s"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
rm -f "$out"/twtuned[-_]* "$out/SHA256SUMS"
# The same commit gives the same bytes.
git -c tar.umask=0022 archive --format=tar --prefix="twtuned-$version/" "$commit" |
        gzip -n9 >"$out/twtuned-$version.tar.gz"
# Everything else is made from the archive of the sources, so that this is complete.
tar -xzf "$out/twtuned-$version.tar.gz" -C "$work"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --transform="s|^\.|twtuned-kubernetes-$version|" -C "$work/twtuned-$version/packaging/kubernetes" -c . |
        gzip -n9 >"$out/twtuned-kubernetes-$version.tar.gz"
step "$work/twtuned-$version/dev" package "$out"
step "$work/twtuned-$version/dev" rpm "$out"
TWTUNED_REVISION=$commit step "$work/twtuned-$version/dev" image "$out/twtuned-$version.oci.tar"
(cd "$out" && sha256sum -- twtuned[-_]* >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
ls -l "$out"
tests/release/installs.sh "$out"
