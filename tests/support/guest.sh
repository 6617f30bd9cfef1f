# A Linux guest under QEMU (TCG) with Debian's kernel and an initramfs made of programs of this machine.
# Sourced after harness.sh:
#
#   guest_script SECONDS FILE      boots, runs FILE there with bash as root, prints its output; returns its exit status
#                                  the guest's eth0 is 10.0.2.15, 10.0.2.2 is 127.0.0.1 of the gateway's namespace
#
# The kernel package (26 MB) comes from Debian's archive with apt-get download and is kept in $GUEST_CACHE.
GUEST_CACHE=${GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/slipgate/guest}
GUEST_PROGRAMS="bash ip wg ping curl"
GUEST_MODULES="virtio_pci virtio_net wireguard"
GUEST_PYTHON= # modules, with which comes python3

guest_kernel() { # leaves $GUEST_CACHE/vmlinuz and $GUEST_CACHE/modules
  local work package
  mkdir -p "$GUEST_CACHE"
  exec {lock}>"$GUEST_CACHE/lock"
  flock "$lock"
  if [ ! -s "$GUEST_CACHE/vmlinuz" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
    [ -n "$package" ] || { apt-get update -q >&2; package=$(apt-cache depends linux-image-cloud-amd64 |
      sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1); }
    work=$(mktemp -d)
    chmod 755 "$work"
    (cd "$work" && apt-get download "$package" >&2 && dpkg --fsys-tarfile ./*.deb | tar x) || fail "no kernel package"
    rm -rf "$GUEST_CACHE/modules"
    mv "$(find "$work" -path '*/lib/modules' -type d | head -n 1)" "$GUEST_CACHE/modules"
    mv "$work"/boot/vmlinuz-* "$GUEST_CACHE/vmlinuz"
    rm -rf "$work"
  fi
  exec {lock}>&-
}

guest_program() { # program, root folder: with the libraries that it needs
  local path library
  path=$(readlink -f "$(command -v "$1")")
  cp -L "$path" "$2/bin/$1"
  for library in $(ldd "$path" 2>/dev/null | grep -o '/[^ ]*'); do
    mkdir -p "$2$(dirname "$library")"
    [ -e "$2$library" ] || cp -L "$library" "$2$library"
  done
}

guest_python() { # root folder: python3 with what $GUEST_PYTHON needs, and no more
  local file
  guest_program python3 "$1"
  for file in $(python3 -IS -c 'import importlib, sys
for name in "encodings.idna", "encodings.ascii", *sys.argv[1:]: importlib.import_module(name)
print(*(module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)))' $GUEST_PYTHON); do
    mkdir -p "$1$(dirname "$file")"
    cp -L "$file" "$1$file"
  done
}

guest_initramfs() { # script, result
  local root=$W/guest version name file tree=$W/guest-modules
  mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc,root,run,lib/modules,usr,var} "$tree/lib"
  for name in sbin usr/bin usr/sbin; do ln -s /bin "$root/$name"; done
  cp "$(command -v busybox)" "$root/bin/busybox"
  for name in $("$root/bin/busybox" --list); do [ -e "$root/bin/$name" ] || ln -s busybox "$root/bin/$name"; done
  for name in $GUEST_PROGRAMS; do
    rm -f "$root/bin/$name"
    guest_program "$name" "$root"
  done
  [ -z "$GUEST_PYTHON" ] || guest_python "$root"
  version=$(basename "$GUEST_CACHE"/modules/*)
  ln -s "$GUEST_CACHE/modules" "$tree/lib/modules"
  [ -e "$GUEST_CACHE/modules/$version/modules.dep" ] || depmod -b "$tree" "$version"
  for name in $GUEST_MODULES; do modprobe -S "$version" -d "$tree" --show-depends "$name"; done |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$root/order.host"
  while read -r file; do
    name=$(basename "$file")
    case $name in
      *.xz) xz -dc "$file" >"$root/lib/modules/${name%.xz}" ;;
      *.zst) zstd -dqc "$file" >"$root/lib/modules/${name%.zst}" ;;
      *) cp "$file" "$root/lib/modules/$name" ;;
    esac
    name=${name%.xz}
    echo "/lib/modules/${name%.zst}" >>"$root/order"
  done <"$root/order.host"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
  cp "$1" "$root/script"
  cat >"$root/init" <<'INIT'
#!/bin/bash
export PATH=/bin HOME=/root
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp
ln -s /proc/self/fd /dev/fd
while read -r module; do insmod "$module"; done < /order
ip link set lo up; ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
bash /script
echo "guest status $?"
poweroff -f
INIT
  chmod 755 "$root/init"
  (cd "$root" && find . -mindepth 1 | cpio -o -H newc --quiet -R 0:0 | gzip -1) >"$2"
}

guest_script() {
  local seconds=$1 status
  guest_kernel
  guest_initramfs "$2" "$W/initramfs"
  in_gateway timeout -k 5 "$seconds" qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -no-user-config \
    -display none -no-reboot -kernel "$GUEST_CACHE/vmlinuz" -initrd "$W/initramfs" -serial "file:$W/console.log" \
    -append "console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off tsc=unstable" \
    -nic user,ipv6=off,model=virtio-net-pci </dev/null >"$W/qemu.log" 2>&1 || { cat "$W/qemu.log"; tail -n 20 "$W/console.log"; fail "QEMU"; }
  tr -d '\r' <"$W/console.log"
  status=$(tr -d '\r' <"$W/console.log" | sed -n 's/^guest status //p')
  return "${status:-125}"
}
