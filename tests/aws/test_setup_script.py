"""``python setup_aws.py`` as a person runs it: a process of its own, over HTTP, against moto in another process."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from vidsearch.aws.actions import action_of
from vidsearch.aws.provision import permission
from vidsearch.aws.provision.names import Names, Options
from vidsearch.aws.session import Clients
from vidsearch.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
ACCOUNT = "123456789012"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""

Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def far_moto() -> Iterator[str]:
    """Run moto in a process of its own, so that nothing of it is ours."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", SERVER], text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(20)


def environment(url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "VIDSEARCH_"))}
    return {
        **kept,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


@pytest.fixture
def script(far_moto: str, tmp_path: Path) -> Script:
    """Return a function that runs the script with a data folder and prefix of one test's own."""
    prefix = f"s{uuid.uuid4().hex[:9]}"

    def run(*words: str, typed: str = "", first: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
        named = ["--prefix", prefix, "--region", REGION] if first else []
        return subprocess.run(
            [sys.executable, "setup_aws.py", "--data", str(tmp_path / "data"), *named, *words],
            cwd=ROOT,
            env=environment(far_moto, **more),
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def one_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return the one line on stderr that a refusal is."""
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("setup_aws: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_set_up_repair_and_remove(script: Script, tmp_path: Path, far_moto: str, monkeypatch: pytest.MonkeyPatch):
    data = tmp_path / "data"

    done = script("--yes", "--acknowledge-terms", "--tags", "team=cctv", first=True)
    assert done.returncode == 0, done.stderr
    assert "moratorium" in done.stderr
    assert "A test message took" in done.stdout
    assert "cost" in done.stdout
    assert "Nobody holds the policy" in done.stdout.splitlines()[-1]
    assert "--attach-to user:NAME" in done.stdout.splitlines()[-1]
    assert "Local test only: the bucket is reached without TLS" in done.stdout
    for name in ("aws.toml", "aws-setup.toml", "aws-terms.toml"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
        assert SECRET not in (data / name).read_text()
    assert "acknowledged_terms" in (data / "aws-terms.toml").read_text()

    settings = load_settings(data, env={})
    assert settings.aws_region == REGION
    assert settings.aws_results == "rekognition"
    assert settings.aws_topic_arn.split(":")[-1].startswith("AmazonRekognition")

    again = script("--yes", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["changes"] == []
    assert "moratorium" not in again.stderr

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with closing(Clients(REGION, endpoints={"sqs": far_moto, "s3": far_moto})) as clients:
        sqs = clients("sqs")
        wrong = {"VisibilityTimeout": "1", "Policy": "", "RedrivePolicy": ""}
        sqs.set_queue_attributes(QueueUrl=settings.aws_queue_url, Attributes=wrong)
        repaired = script("--yes", "--json")
        assert [change["did"] for change in json.loads(repaired.stdout)["changes"]] == ["repaired"]
        assert "VisibilityTimeout" in json.loads(repaired.stdout)["changes"][0]["drift"]

        # What the program will do with it works: the bucket takes an object over this endpoint without TLS.
        clients("s3").put_object(Bucket=settings.aws_bucket, Key=f"{settings.aws_prefix}/footage/a", Body=b"x")
    kept = one_line(script("--destroy", "--yes"))
    assert "still holds 1 objects" in kept
    assert "--force" in kept
    assert script("--yes", "--json").returncode == 0

    gone = script("--destroy", "--yes", "--force")
    assert gone.returncode == 0, gone.stderr
    assert f"bucket {settings.aws_bucket}" in gone.stdout
    assert [path.name for path in data.iterdir()] == ["aws-terms.toml"]
    prefix = settings.aws_prefix
    assert "nothing to remove" in one_line(script("--destroy", "--yes", "--prefix", prefix, "--region", REGION))


def test_nothing_happens_without_a_yes(script: Script, tmp_path: Path):
    data = tmp_path / "data"
    assert "--acknowledge-terms" in one_line(script("--yes", first=True), 2)
    assert "--yes --acknowledge-terms" in one_line(script(first=True, typed="n\n"), 130)
    assert not data.exists()
    # The terms are asked for once, the changes every time.
    assert one_line(script(first=True, typed="y\nn\n"), 130)
    assert [path.name for path in data.iterdir()] == ["aws-terms.toml"]
    agreed = script(first=True, typed="y\n")
    assert agreed.returncode == 0, agreed.stderr
    assert (data / "aws.toml").exists()
    assert one_line(script("--destroy", typed="n\n"), 130)
    assert script("--destroy", typed="y\n").returncode == 0


def test_removing_without_knowing_what_is_refused(script: Script, tmp_path: Path, far_moto: str):
    """The defaults are what some other folder may have set up."""
    named = ("--prefix", "vidsearch", "--region", REGION)
    other = ("--data", str(tmp_path / "other"))
    assert script(*named, *other, "--yes", "--acknowledge-terms").returncode == 0
    for words in ((), ("--region", REGION), ("--prefix", "vidsearch")):
        line = one_line(script("--destroy", "--yes", *words, AWS_REGION=REGION), 2)
        assert "aws-setup.toml" in line
        assert "--region and --prefix" in line
    # What a run of setup_aws.py did not write, such as a template's output, does not count.
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "aws.toml").write_text(f'aws_region = "{REGION}"\naws_prefix = "vidsearch"\n')
    assert "aws-setup.toml" in one_line(script("--destroy", "--yes"), 2)
    assert json.loads(script(*other, "--yes", "--json").stdout)["changes"] == []
    gone = script("--destroy", "--yes", *named)
    assert gone.returncode == 0, gone.stderr
    assert "bucket vidsearch-" in gone.stdout


def test_whoever_holds_the_policy_is_named(script: Script, far_moto: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    user = f"u{uuid.uuid4().hex[:9]}"
    with closing(Clients(REGION, endpoints={"iam": far_moto})) as clients:
        clients("iam").create_user(UserName=user)
    done = script("--attach-to", f"user:{user}", "--yes", "--acknowledge-terms", first=True)
    assert done.returncode == 0, done.stderr
    assert f"Who may search: user {user}" in done.stdout.splitlines()[-1]
    assert script("--destroy", "--yes").returncode == 0


def test_settings_that_are_broken_are_mended(script: Script, tmp_path: Path):
    assert script("--yes", "--acknowledge-terms", first=True).returncode == 0
    path = tmp_path / "data" / "aws.toml"
    path.write_text("not toml [")
    assert script("--yes").returncode == 0
    assert load_settings(tmp_path / "data", env={}).aws_region == REGION
    assert script("--destroy", "--yes").returncode == 0


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("--region", REGION, "--template", "x.txt"), "with .yaml, .yml or .json", 2),
        (("--region", "ca-central-1"), "pictures only", 1),
        (("--region", "cn-north-1"), "not offered in China", 1),
        (("--prefix", "Wrong", "--region", REGION), "--prefix", 2),
        (("--no-such-option",), "No such option", 2),
        (("--region", REGION, "--profile", "there-is-none"), "there-is-none", 1),
    ],
)
def test_what_cannot_work_is_one_line(script: Script, words: tuple[str, ...], said: str, code: int):
    assert said in one_line(script(*words), code)


def test_no_region_says_which_there_are(script: Script):
    assert "--region" in one_line(script())
    assert "eu-west-1" in one_line(script())


def test_no_credentials_is_one_line(script: Script):
    line = one_line(script(first=True, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""))
    assert "no AWS credentials were found" in line


def test_no_network_is_one_line(script: Script):
    line = one_line(script(first=True, AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"))
    assert "check the network" in line
    assert SECRET not in line


def test_the_function_comes_and_goes(script: Script, tmp_path: Path):
    done = script("--lambda", "--kms", "--yes", "--acknowledge-terms", first=True)
    assert done.returncode == 0, done.stderr
    settings = load_settings(tmp_path / "data", env={})
    assert settings.aws_results == "lambda"
    assert settings.aws_kms_key.startswith("arn:aws:kms:")
    assert json.loads(script("--yes", "--json").stdout)["changes"] == []
    gone = json.loads(script("--destroy", "--yes", "--json").stdout)
    assert any("function" in words for words in gone["removed"])
    assert any("KMS key" in words for words in gone["removed"])


# -- what the script itself may do ---------------------------------------------------------------------------------

WITHOUT_A_CALL = {
    # Needed because a call carries tags, a boundary or a role, or to see a function's tags.
    "iam:PassRole", "lambda:ListTags", "iam:PutRolePermissionsBoundary",
    "sns:TagResource", "sqs:TagQueue", "iam:TagRole", "iam:TagPolicy", "kms:TagResource", "lambda:TagResource",
    "logs:TagResource",
    # Deleting objects with their versions is one call and two permissions.
    "s3:DeleteObjectVersion",
    # Messages through an encrypted topic and queue.
    "kms:Decrypt", "kms:GenerateDataKey",
}  # fmt: skip


def test_the_provisioner_policy_is_what_the_script_needs_and_no_more(make_site: Callable[..., Any]):
    """Every call that making, breaking, repairing and removing leads to is in it, and nothing that no code calls."""
    called: set[str] = set()
    names = Names.of(
        Options(
            REGION,
            make_key=True,
            function=True,
            attach_to="user:x",
            boundary="arn:aws:iam::aws:policy/PowerUserAccess",
        )
    )
    allowed = {action for s in permission.provisioner(names)["Statement"] for action in s["Action"]}
    site = make_site(make_key=True, function=True, tls=True)
    site.apply()
    called |= set(site.aws.calls)
    site.apply()
    called |= set(site.aws.calls)
    site.aws.calls.clear()
    site.remove()
    called |= set(site.aws.calls)
    actions = {action_of(service, operation) for service, operation in called}
    assert actions <= allowed
    sources = "".join(path.read_text() for path in (ROOT / "vidsearch" / "aws" / "provision").glob("*.py"))
    for action in allowed - WITHOUT_A_CALL - actions:
        operation = action.partition(":")[2]
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
        spelt = {"put_lifecycle_configuration": "put_bucket_lifecycle_configuration"}.get(snake, snake)
        generic = [snake.replace("user", kind) for kind in ("{kind}", "{names.options.attach_kind}")]
        assert any(word in sources for word in (f".{spelt}", *generic)), f"nothing calls {action}"
