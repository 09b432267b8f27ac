# What there is to know of a machine before anything on it changes, a line each; it writes nothing.
# A shell's words and Debian's essential packages alone: Python may be what is missing.
#   look.sh WHAT DIRECTORIES PORTS APPS     the last three each as one word, its parts divided by blanks
# PORTS are hexadecimal, as /proc/net has them.
export LC_ALL=C
what=$1 directories=$2 ports=$3 apps=$4

echo "clock $(date +%s.%N)"
echo "version $(cat /var/lib/slipway/version 2>/dev/null)"
[ "$what" = deploy ] && exit

disks() {
  for directory in $directories; do
    while [ ! -d "$directory" ]; do directory=${directory%/*}; directory=${directory:-/}; done
    set -- "$@" "$directory"
  done
  df -k --output=target,avail,itotal,iavail "$@" | sed 1d | sort -u | sed 's/^/disk /'
}
disks

(. /etc/os-release; echo "os $ID ${VERSION_ID:-none} ${VERSION_CODENAME:-none}")
echo "arch $(dpkg --print-architecture 2>/dev/null || uname -m)"
echo "user $(id -u)"
[ -d /run/systemd/system ] && echo "init systemd"
for directory in /etc /var; do [ -w "$directory" ] || echo "readonly $directory"; done
echo "memory $(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
[ -x /usr/bin/python3 ] && echo "python $(/usr/bin/python3 --version 2>&1)"

# Who listens on a port: the sockets' numbers first, then the processes that hold them.
sockets=$(awk -v ports="$ports" '
  BEGIN { split(ports, list, " "); for (i in list) wanted[list[i]] = 1 }
  $4 == "0A" { split($2, local, ":"); port = local[length(local)]; if (port in wanted) print port, $10 }
' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
if [ -n "$sockets" ]; then
  inodes=$(echo "$sockets" | sed 's/.* //' | sort -u | paste -sd'|')
  find /proc/[0-9]*/fd -maxdepth 1 -lname 'socket:*' -printf '%h %l\n' 2>/dev/null |
    sed -nE "s#^/proc/([0-9]+)/fd socket:\[($inodes)\]\$#\1 \2#p" | sort -u |
    while read -r pid inode; do
      unit=$(sed -n 's#.*/\([^/]*\.\(service\|scope\)\).*#\1#p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
      port=$(echo "$sockets" | sed -n "s/ $inode\$//p" | head -n 1)
      echo "port $port $(tr ' ' '_' <"/proc/$pid/comm") ${unit:-none} $pid"
    done | sort -u -k2,4
fi

# Who holds a lock of apt's or dpkg's.
locks=$(stat -c %i /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock 2>/dev/null | paste -sd' ')
awk -v inodes="$locks" '
  BEGIN { split(inodes, list, " "); for (i in list) wanted[list[i]] = 1 }
  $2 == "POSIX" { split($6, file, ":"); if (file[3] in wanted) print $5 }
' /proc/locks 2>/dev/null | sort -u | while read -r pid; do
  echo "lock $pid $(tr ' ' '_' 2>/dev/null <"/proc/$pid/comm" || echo another)"
done

dpkg --audit 2>&1 | sed -n 's/^ \([a-z0-9][^ ]*\) .*/broken \1/p'
ls /var/lib/dpkg/updates 2>/dev/null | grep -q '^[0-9]' && echo "interrupted"

# The apps that have a Redis here.
ls /etc/slipway/redis 2>/dev/null | sed -n 's/^\([a-z0-9-]*\)\.conf$/redis \1/p'

# Users and groups with an app's name that are none of ours.
for app in $apps; do
  grep -qs "^[ug]!\{0,1\} $app " /etc/sysusers.d/slipway.conf && continue
  getent passwd "$app" | sed 's/^\([^:]*\):.*:\([^:]*\):[^:]*$/account \1 user \2/'
  getent group "$app" | sed 's/^\([^:]*\):.*/account \1 group/'
done
true
