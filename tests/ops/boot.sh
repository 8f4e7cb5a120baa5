#!/bin/bash
# Boots systemd as process 1 of its own namespaces, over a throw-away copy of this system:
#   unshare --mount --pid --fork --cgroup --uts --ipc --kill-child boot.sh DIR PYTHON DEPENDENCIES [SYSTEMD]
# SYSTEMD: an unpacked systemd that takes the place of this system's own.
# Everything it writes is in memory and goes with its last process. The network is this host's.
set -euo pipefail
dir=$1 python=$2 dependencies=$3 systemd=${4-}
root=$dir/root/system
mount --make-rprivate /
mount -t tmpfs -o size=1g tmpfs "$dir/root"
mkdir "$dir"/root/{upper,work,system}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/root/upper,workdir=$dir/root/work" "$root"
if [ -n "$systemd" ]; then
    cp -a "$systemd"/{usr,etc} "$root/"
fi

# The tests' own Python and packages, where the service may see them.
mkdir -p "$root"/opt/{python,dependencies,exchange}
mount --bind "$python" "$root/opt/python"
mount --bind "$dependencies" "$root/opt/dependencies"
mount --bind "$dir/exchange" "$root/opt/exchange"

mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    umount "$root/sys/fs/cgroup"
    mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
else
    for controller in memory pids cpu; do
        mkdir "$root/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "$root/sys/fs/cgroup/$controller"
    done
    mkdir "$root"/sys/fs/cgroup/{systemd,unified}
    mount -t cgroup -o none,name=systemd,xattr cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup "$root/sys/fs/cgroup/unified"
fi
for place in dev run tmp dev/shm; do
    mkdir -p "$root/$place"
    mount -t tmpfs -o mode=1777 tmpfs "$root/$place"
done
chmod 755 "$root"/{dev,run}
mkdir "$root/dev/pts"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"

# A Python that was built with a shared library looks for it where it was built.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultEnvironment=LD_LIBRARY_PATH=/opt/python/lib\n' >"$root/etc/systemd/system.conf.d/python.conf"

: >"$root/etc/machine-id"
rm -rf "$root"/etc/systemd/system/*
for unit in systemd-{sysctl,modules-load,remount-fs,logind,update-utmp,timesyncd,networkd,resolved,udevd}.service \
    systemd-udevd-{kernel,control}.socket getty.target console-getty.service; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
done
hostname jobd-box
cd "$root"
mkdir .old
pivot_root . .old
umount -l /.old
mount --make-rshared / # without it credentials cannot be read
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=jobd-tests \
    /lib/systemd/systemd --system --log-target=journal --unit=multi-user.target
