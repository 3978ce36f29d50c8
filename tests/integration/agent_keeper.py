#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what applications committed is delivered when they and the agent die together; nobody is refused while no agent
lives; and a keeper is there only as long as it is of use.

Method: agents and applications killed with SIGKILL by their pids, real keepers; what devbroker has is read back by kcat.
agent_keeper.py [NAME…] runs the cases so named.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import time

from sluice import (SLUICE, WAIT_S, Agent, Devbroker, Place, check, expect, keeper_pid, keyed, lines, order_per_key,
                    read_kcat, run, until)

MESSAGE = struct.Struct("<IIIiQQQ24s")  # agent/keeper_protocol.h
MAGIC, VERSION, HELLO = 0x504b4c53, 1, 1


def keeper_socket(agent):
    return agent.folder / "run" / "private" / "keeper.sock"


def lives(pid):
    """A process that has ended and that nobody has waited for yet is no living one."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def idle_set(agent, idle_ms):
    """Says HELLO as an agent would, with another time to wait. Returns how much the keeper holds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(str(keeper_socket(agent)))
        sock.send(MESSAGE.pack(MAGIC, VERSION, HELLO, 0, 0, idle_ms, 0, b"test"))
        answer = MESSAGE.unpack(sock.recv(256))
        expect("the keeper's answer", (MAGIC, VERSION, HELLO, 0), answer[:4])
        return answer[5]


def begin(place, settings=None):
    broker = Devbroker(place, "-t", "t:6")
    agent = Agent(place, broker.bootstrap, {"linger.ms": 2, **(settings or {})}).start()
    status = agent.status()
    expect("the keeper", ("process", 0), (status["keeper"], status["keeper_held"]))
    return broker, agent, status["keeper_pid"]


def kill(agent):
    agent.signal(signal.SIGKILL)
    agent.wait()


def both_die(place):
    """Application and agent die, each with records in the ring: the next agent sends them."""
    broker, agent, pid = begin(place)
    records = keyed(3000, 100)
    child = agent.feed("t", "-K", "\\t")
    child.stdin.write(lines(records[:1000]))
    child.stdin.flush()
    until("the first are persisted", lambda: agent.ledger()["persisted"] == 1000)
    expect("held", 1, agent.status()["keeper_held"])
    kill(agent)
    child.stdin.write(lines(records[1000:]))
    child.stdin.flush()
    time.sleep(1)  # what was read from the pipe is committed to the ring, which has room for all of it
    check("the application lives", child.poll() is None)
    child.kill()
    child.wait()
    check("the keeper lives", lives(pid))
    expect("held while nobody lives", 1, idle_set(agent, 60000))
    agent.start()
    until("the rest is persisted", lambda: agent.ledger()["persisted"] >= 2000)
    status = until("the dead application is gone", lambda: (lambda s: s["keeper_held"] == 0 and s)(agent.status()))
    expect("the keeper", ("process", pid), (status["keeper"], status["keeper_pid"]))
    order_per_key(read_kcat(broker.bootstrap, "t"), records)
    agent.stop()
    until("the keeper has ended", lambda: not lives(pid), seconds=5)


def kill_in_a_row(place):
    """Agents killed one after the other while they take up what is kept: nothing gets lost on the way."""
    broker, agent, pid = begin(place)
    records = keyed(2000, 100)
    child = agent.feed("t", "-K", "\\t")
    child.stdin.write(lines(records[:100]))
    child.stdin.flush()
    until("the first are persisted", lambda: agent.ledger()["persisted"] == 100)
    broker.child.send_signal(signal.SIGSTOP)
    kill(agent)
    child.stdin.write(lines(records[100:]))
    child.stdin.flush()
    time.sleep(1)
    child.kill()
    child.wait()
    for wait_s in (0.005, 0.02, 0.05, 0.1, 0.2):
        agent.launch()
        time.sleep(wait_s)
        kill(agent)
    broker.child.send_signal(signal.SIGCONT)
    agent.start()
    until("all is delivered", lambda: len(read_kcat(broker.bootstrap, "t")) >= len(records), step=0.3)
    order_per_key(read_kcat(broker.bootstrap, "t"), records)
    check("the keeper is the same", keeper_pid(keeper_socket(agent)) == pid)
    agent.stop()


def connects_wait(place):
    """A client that connects while no agent lives is served by the next one; the socket's inode stays."""
    broker, agent, _ = begin(place)
    inode = os.stat(agent.socket).st_ino
    kill(agent)
    asking = subprocess.Popen([SLUICE, "status", "--json", "-s", agent.socket], stdout=subprocess.PIPE)
    child = agent.feed("t", "-K", "\\t")
    child.stdin.write(lines(keyed(100, 10)))
    child.stdin.close()
    time.sleep(0.7)
    check("both wait", asking.poll() is None and child.poll() is None)
    agent.start()
    said, _ = asking.communicate(timeout=WAIT_S)
    expect("exit code of the one that asked", 0, asking.returncode)
    check("its answer", b'"keeper":"process"' in said)
    expect("outcome of the other", (0, 100, 0, 0), agent.outcome(child)[:4])
    expect("inode of the socket", inode, os.stat(agent.socket).st_ino)
    agent.stop()
    broker.kill()


def ends(place):
    """A keeper that holds nothing for nobody ends, and its socket is no obstacle to the next agent."""
    broker, agent, pid = begin(place)
    kill(agent)
    idle_set(agent, 300)
    begin_s = time.monotonic()
    until("the keeper has ended", lambda: not lives(pid), seconds=5)
    check("not at once", time.monotonic() - begin_s > 0.2)
    agent.start()
    other = agent.status()["keeper_pid"]
    check("another keeper", other not in (0, pid))
    agent.produce_all("t", keyed(1000, 10))
    agent.stop()
    until("the other has ended", lambda: not lives(other), seconds=5)
    broker.kill()


def keeper_dies(place):
    """Without its keeper the agent goes on, says so, and the next one has a keeper again."""
    broker, agent, pid = begin(place)
    child = agent.feed("t", "-K", "\\t")
    child.stdin.write(lines(keyed(1000, 10)))
    child.stdin.flush()
    until("the records are persisted", lambda: agent.ledger()["persisted"] == 1000)
    os.kill(pid, signal.SIGKILL)
    status = until("status knows", lambda: (lambda s: s["keeper"] == "none" and s)(agent.status()), seconds=5)
    check("the note", "lost" in status["keeper_note"], str(status["keeper_note"]))
    check("the log", "keeper_lost" in agent.said(), agent.said()[-500:])
    agent.produce_all("t", keyed(1000, 10, "again-"))
    child.stdin.close()
    expect("outcome", (0, 1000, 0, 0), agent.outcome(child)[:4])
    kill(agent)
    agent.start()
    expect("the next agent's keeper", "process", agent.status()["keeper"])
    agent.stop()
    broker.kill()


def older_keeper(place):
    """A keeper that speaks another version stays untouched; the agent says what to do and has one of its own."""
    broker = Devbroker(place, "-t", "t:6")
    agent = Agent(place, broker.bootstrap)
    private = agent.folder / "run" / "private"
    private.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as old:
        old.bind(str(private / "keeper.sock"))
        old.listen(4)
        old.settimeout(WAIT_S)
        agent.launch()
        peer, _ = old.accept()
        with peer:
            peer.recv(256)
            peer.send(MESSAGE.pack(MAGIC, 7, HELLO, -93, 0, 5, 0, b"9.8.7"))
        until("the agent is ready", lambda: "ready socket=" in agent.said())
        status = agent.status()
        expect("the keeper", "process", status["keeper"])
        check("the note", "build 9.8.7" in status["keeper_note"] and "5 segments" in status["keeper_note"],
              status["keeper_note"])
        check("a socket of its own", (private / "keeper-1.sock").exists())
        agent.stop()
    broker.kill()


CASES = [both_die, kill_in_a_row, connects_wait, ends, keeper_dies, older_keeper]


def main():
    with Place() as place:
        return run(CASES, place)


if __name__ == "__main__":
    sys.exit(main())
