"""The page on many devices and machines: every block of its code runs, and the numbers are those of one device."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dask_processes import free_port
from distributed import Client
from test_sweeps import MEASURE, SLUG, write_chapter

from deepphenomena.book import runner, sweeps

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "guide" / "many_machines.md").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text()
MEMBERS, ONE_NETWORK, HOSTS, SLURM, KUBERNETES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
GPUS = next(block for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if "CUDA" in block)

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask and its servers warn of what no user can fix

# Appended to the page's code: its result on standard output, for comparison.
TELL = """
import json
print(json.dumps([jax.device_count(), np.asarray(trained.losses, float).tolist()]))
"""
SEE = """
seen = []
def loss(parameters, batch, loss=loss):
    jax.debug.inspect_array_sharding(batch[0], callback=seen.append)
    return loss(parameters, batch)
"""


def started(program: str, devices: int) -> subprocess.Popen:
    """A process that runs a program on so many forced devices of this machine's processor."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", program], env=environment, **pipes)


def result(process: subprocess.Popen) -> tuple[int, np.ndarray]:
    """(devices, losses) as the program told them."""
    out, problem = process.communicate(timeout=240)
    assert process.returncode == 0, problem
    devices, losses = json.loads(out.strip().splitlines()[-1])
    return devices, np.array(losses)


@pytest.fixture(scope="module")
def alone() -> np.ndarray:
    """The losses of the page's one network on one device."""
    devices, losses = result(started(MEMBERS + ONE_NETWORK + TELL, 1))
    assert devices == 1
    assert losses[-1] < losses[0] / 1.5
    return losses


def test_members_on_eight_devices_are_those_of_one():
    on_eight = started(MEMBERS + "assert len(trained.parameters['w'].sharding.device_set) == 8\n" + TELL, 8)
    on_one = started(MEMBERS + TELL, 1)
    (eight, spread), (one, together) = result(on_eight), result(on_one)
    assert (eight, one) == (8, 1)
    np.testing.assert_allclose(spread, together, rtol=1e-5)


def test_one_network_on_eight_devices_is_that_of_one(alone):
    shared = "\nassert all(s.shard_shape((64, 784)) == (8, 784) for s in seen) and seen, seen\n"
    devices, losses = result(started(MEMBERS + SEE + ONE_NETWORK + shared + TELL, 8))
    assert devices == 8
    np.testing.assert_allclose(losses, alone, rtol=1e-5)


def test_one_network_on_two_hosts_of_two_devices_is_that_of_one(alone):
    head, _, rest = MEMBERS.partition("members = ")
    assert rest
    program = head.replace("import jax\n", f"import jax\n{HOSTS}", 1) + ONE_NETWORK + TELL
    address = f"127.0.0.1:{free_port()}"
    calls = [f'jax.distributed.initialize("{address}", num_processes=2, process_id={host})' for host in (0, 1)]
    hosts = [started(program.replace("jax.distributed.initialize()", call), 2) for call in calls]
    for devices, losses in [result(host) for host in hosts]:
        assert devices == 4
        np.testing.assert_allclose(losses, alone, rtol=1e-5)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder with the packages of the recipes, which nothing else here needs, and the programs they call."""
    folder = tmp_path_factory.mktemp("recipes")
    pins = re.findall(r"^[a-z0-9-]+==[^ ]+", LOCK, re.MULTILINE)
    (folder / "constraints.txt").write_text("\n".join(pins))
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    where = ["--target", folder / "packages", "--constraint", folder / "constraints.txt"]
    done = subprocess.run([*install, *where, "dask-jobqueue==0.9.0", "dask-kubernetes==2026.3.0"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    (folder / "bin").mkdir()
    (folder / "bin" / "dask").symlink_to(Path(sys.executable).with_name("dask"))
    # SLURM with all its nodes free: a job is read as it is submitted, for its file goes then; it starts at once, and
    # scancel ends it.
    for name, lines in {
        "sbatch": 'job=$(<"$1"); setsid bash -c "$job" > /dev/null 2>&1 & echo "Submitted batch job $!"',
        "scancel": 'for job in "$@"; do kill -- "-$job"; done',
    }.items():
        (folder / "bin" / name).write_text(f"#!/bin/bash\n{lines}\n")
        (folder / "bin" / name).chmod(0o755)
    return folder


def recipe(programs: Path, command: list[str], cwd: Path) -> subprocess.Popen:
    """A recipe in a process group of its own, so that all it starts can be ended with it."""
    environment = os.environ | {
        "PATH": f"{programs / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(programs / "packages"),
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True, **pipes)


def test_the_recipe_for_slurm_sweeps_with_one_run_at_a_time_in_each_job(programs, tmp_path, monkeypatch):
    write_chapter(tmp_path / "tiny.ipynb", MEASURE)
    monkeypatch.setattr(runner, "notebook_path", lambda slug: tmp_path / "tiny.ipynb")
    assert "jobs=20" in SLURM
    cluster = recipe(programs, [sys.executable, "-c", SLURM.replace("jobs=20", "jobs=2")], tmp_path)
    try:
        address = cluster.stdout.readline().strip()
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=90)
            threads = [worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
        assert threads == [1, 1]
        done = sweeps.sweep(SLUG, [("first_seed", "0..2")], out=str(tmp_path / "out"), scheduler=address)
        assert (done.made, done.failed) == (3, 0)
        cluster.communicate("\n", timeout=60)
        assert cluster.returncode == 0
    finally:
        with_group_ended(cluster)


def test_the_recipe_for_gpus_gives_each_worker_its_own(programs, tmp_path):
    port = free_port()
    assert GPUS.count("8786") == 2
    running = recipe(programs, ["bash", "-c", GPUS.replace("8786", str(port)).replace("0 1 2 3", "0 1")], tmp_path)
    try:
        with Client(f"tcp://127.0.0.1:{port}", timeout=60) as client:
            client.wait_for_workers(2, timeout=90)
            seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
            workers = client.scheduler_info(n_workers=-1)["workers"]
            assert {workers[address]["name"]: gpu for address, gpu in seen.items()} == {"gpu-0": "0", "gpu-1": "1"}
            assert {worker["nthreads"] for worker in workers.values()} == {1}
    finally:
        with_group_ended(running)


def test_the_recipe_for_kubernetes_describes_workers_of_one_run_each(programs):
    description, _, _ = KUBERNETES.partition("cluster = ")
    tell = "import json; print(json.dumps(spec['spec']['worker']))"
    environment = os.environ | {"PYTHONPATH": str(programs / "packages")}
    command = [sys.executable, "-W", "ignore", "-c", description + tell]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    worker = json.loads(done.stdout)
    (container,) = worker["spec"]["containers"]
    assert worker["replicas"] == 20
    assert container["args"][:4] == ["dask", "worker", "--nthreads", "1"]


def with_group_ended(process: subprocess.Popen) -> None:
    """End a recipe and all that it started in its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
