"""`lambent setup` on a host whose control groups are version 2 alone and kept by nobody, in a machine that is one."""

import pathlib
import re

import pytest

import guest

BINARY = guest.REPOSITORY / "target/fast/lambent"

# The host's file system is read-only here: what setup writes goes to layers of the machine's own. `up` stands in for sudo.
SCRIPT = """
set -e
mkdir -p /tmp/layers/etc.up /tmp/layers/etc.work /tmp/layers/lib.up /tmp/layers/lib.work /tmp/sam /tmp/fn
mount -t overlay none -o lowerdir=/etc,upperdir=/tmp/layers/etc.up,workdir=/tmp/layers/etc.work /etc
mount -t overlay none -o lowerdir=/var/lib,upperdir=/tmp/layers/lib.up,workdir=/tmp/layers/lib.work /var/lib
echo 'sam:x:1234:1234::/tmp/sam:/bin/sh' >> /etc/passwd
before=$(cat /etc/subuid /etc/subgid; cat /sys/fs/cgroup/cgroup.subtree_control)
printf 'def handler(event, context):\\n    return {"hello": 1}\\n' > /tmp/fn/app.py; chmod -R a+rX /tmp/fn
cp BINARY /tmp/lambent; cp /usr/bin/setpriv /tmp/up; chmod 4755 /tmp/up
chown 1234:1234 /tmp/sam
cat > /tmp/as-sam <<'END'
exec 2>&1
cd /tmp/sam; export HOME=/tmp/sam
/tmp/lambent doctor | head -40 || true
echo "== setup"
/tmp/up --reuid=0 --regid=0 --clear-groups /tmp/lambent setup --user sam
echo "== after"
/tmp/lambent doctor | head -40
/tmp/lambent demo /tmp/fn --exit --listen 127.0.0.1:0
/tmp/lambent demo /tmp/fn --exit --listen 127.0.0.1:0
echo "left: $(find /sys/fs/cgroup -name 'lambent-*-*')"
echo "== undo"
/tmp/up --reuid=0 --regid=0 --clear-groups /tmp/lambent setup --undo
END
setpriv --reuid=1234 --regid=1234 --clear-groups sh -c '. /tmp/as-sam; true'
echo "left: $(find /sys/fs/cgroup -mindepth 1 -type d)"
test "$before" = "$(cat /etc/subuid /etc/subgid; cat /sys/fs/cgroup/cgroup.subtree_control)"
echo "as before"
"""


def test_setup_gives_a_user_groups_and_takes_them_back():
    if not pathlib.Path(BINARY).exists():
        pytest.skip(f"{BINARY} is not built: run `make build`")
    try:
        ended = guest.run(SCRIPT.replace("BINARY", guest.inside(BINARY)), 180)
    except guest.Missing as missing:
        pytest.skip(str(missing))
    assert ended.status == 0, ended.output + ended.console
    before, rest = ended.output.split("== setup\n")
    done, rest = rest.split("== after\n")
    after, undone = rest.split("== undo\n")

    def walls(part):
        return {name: state for state, name in re.findall(r"^  (ok|missing) +(memory limit|cpu limit|uid range) ", part, re.M)}

    assert set(walls(before).values()) == {"missing"}, before
    assert "lambent setup" in before
    assert "/sys/fs/cgroup/lambent-1234" in done and "(your shell)" in done, done
    assert walls(after)["memory limit"] == walls(after)["cpu limit"] == "ok", after
    if pathlib.Path("/usr/bin/newuidmap").exists():
        assert walls(after)["uid range"] == "ok", after
    assert after.count("· warm ") == 2 and after.endswith("left: \n"), after
    assert "removed /sys/fs/cgroup/lambent-1234" in undone and undone.endswith("left: \nas before\n"), undone
