#!/bin/bash
# Unpacks the systemd of Debian's backports, which is newer than this release's own, below DIR:
#   newer_systemd.sh DIR
# Nothing is installed, and neither this system's packages nor its lists of them are touched.
set -euo pipefail
dir=$1
test -e "$dir/.unpacked" && exit
. /etc/os-release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,cache/archives}/partial "$work/debs"
# From where this system has its own packages.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk -v name="$VERSION_CODENAME" '$2 == name { print $1; exit }')
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror $VERSION_CODENAME-backports main" >"$work/sources.list"
apt() {
    apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" "$@"
}
apt update
(cd "$work/debs" && apt download {systemd,libsystemd-shared,libsystemd0}/"$VERSION_CODENAME-backports")
mkdir -p "$dir"
for package in "$work"/debs/*.deb; do
    dpkg-deb -x "$package" "$dir"
done
# This system keeps everything below /usr, whereto the others are links.
for folder in bin sbin lib; do
    if [ -d "$dir/$folder" ]; then
        mkdir -p "$dir/usr/$folder"
        cp -a "$dir/$folder/." "$dir/usr/$folder/"
        rm -rf "${dir:?}/$folder"
    fi
done
touch "$dir/.unpacked"
