#!/bin/sh
# Builds the image of a test VPS: a Debian as a provider hands it out, with systemd, sshd and nothing of ours.
# usage: build.sh IMAGE CODENAME SOURCES   (SOURCES: the deb822 file that becomes the VPS's own)
set -eu
image=$1 codename=$2 sources=$3
here=$(dirname "$0")

# Two runs that need the same image at the same time build it once.
exec 9>"$sources.lock"
flock 9
if podman image exists "$image"; then exit 0; fi
trap 'rm -f "$sources.tar" "$sources.conf"' EXIT

# What this machine's apt needs to reach its mirror (a proxy, an old snapshot), the VPS needs too.
apt-config dump --no-empty --format '%f "%v";%n' \
    Acquire::http Acquire::https Acquire::Check-Valid-Until Acquire::Check-Date >"$sources.conf"

mmdebstrap --variant=minbase --aptopt="$sources.conf" \
    --include="$(grep -v '^#' "$here/packages" | paste -sd, -)" \
    --customize-hook="$here/customize.sh" \
    "$codename" "$sources.tar" "$sources"
podman import --quiet --change 'CMD ["/sbin/init"]' --change 'LABEL slipway=vps' "$sources.tar" "$image" >/dev/null
echo "built $image"
