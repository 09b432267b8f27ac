#!/bin/sh
# Turns a fresh Debian tree into the VPS's. mmdebstrap calls it with the tree's path.
set -eu
root=$1
authorities=/usr/local/share/ca-certificates

cp -r "$(dirname "$0")/files/." "$root/"
mv "$root"/etc/apt/sources.list.d/*.sources "$root/etc/apt/sources.list.d/debian.sources"
chmod 0644 "$root/etc/apt/sources.list.d/debian.sources"
echo 'LANG=C.UTF-8' >"$root/etc/default/locale"

# Behind a gateway with an authority of its own, pip and apt work only where the VPS trusts it as this machine does.
if [ -d "$authorities" ]; then cp -rL "$authorities/." "$root$authorities/"; fi
chroot "$root" update-ca-certificates >/dev/null

# Every VPS has an identity of its own: its keys and its machine id are made on its first boot.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
chroot "$root" systemctl --quiet enable first-boot.service proc-sys-net.service
