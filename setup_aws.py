"""Set up, repair or remove what vidsearch needs on AWS: parse, call, show."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vidsearch.aws.provision import access, costs, permission, proof, record, template, terms, walk
from vidsearch.aws.provision.messages import Queue
from vidsearch.aws.provision.names import Names, Options
from vidsearch.aws.provision.plan import Plan, plan
from vidsearch.aws.provision.regions import require_stored_video
from vidsearch.aws.provision.step import Drift, Step
from vidsearch.aws.session import Clients
from vidsearch.errors import AwsRefused, UsageError, VidsearchError
from vidsearch.settings import data_folder


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--region", help="Region of everything. Default: the one of the last run, or of the profile.")
@click.option("--prefix", help="What all names begin with. Default: vidsearch.")
@click.option("--profile", help="Profile of the AWS credentials. Default: boto3's usual chain.")
@click.option("--tags", "tags", multiple=True, metavar="K=V", help="Tag everything made here; may be repeated.")
@click.option("--permissions-boundary", "boundary", metavar="ARN", help="Permissions boundary of every role made here.")
@click.option("--bucket", metavar="NAME", help="Use this bucket of yours instead of making one.")
@click.option("--role", metavar="ARN", help="Use this service role of yours instead of making one.")
@click.option(
    "--attach-to", metavar="user|role|group:NAME", help="Give the runtime policy to this user, role or group."
)
@click.option("--kms", "make_key", is_flag=True, default=None, help="Make a KMS key and encrypt with it ($1 a month).")
@click.option("--kms-key", "key", metavar="ARN", help="Encrypt with this KMS key of yours.")
@click.option("--lambda/--no-lambda", "function", default=None, help="Store results by a Lambda function.")
@click.option("--upload-days", type=click.IntRange(1, 365), help="Days until something left behind is removed.")
@click.option("--data", metavar="DIR", help="Data folder that aws.toml is written to. Default: vidsearch's own.")
@click.option("--dry-run", is_flag=True, help="Print every step with its documents. Asks nothing of AWS.")
@click.option(
    "--template", "template_file", metavar="FILE", is_flag=False, flag_value="-", default=None,
    help="Write the same as a CloudFormation template (JSON where FILE ends in .json, else YAML).",
)  # fmt: skip
@click.option("--print-provisioner-policy", is_flag=True, help="Print the permissions that this script needs.")
@click.option("--destroy", is_flag=True, help="Remove what was made here, and only that.")
@click.option("--force", is_flag=True, help="With --destroy: also when objects in the bucket are lost.")
@click.option("--acknowledge-terms", is_flag=True, help="Record that you have read what is to be known beforehand.")
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
def setup(
    data: str | None,
    dry_run: bool,
    template_file: str | None,
    print_provisioner_policy: bool,
    destroy: bool,
    force: bool,
    acknowledge_terms: bool,
    as_json: bool,
    yes: bool,
    debug: bool,
    **given: Any,
) -> None:
    """Set up what vidsearch needs on AWS to search with Amazon Rekognition.

    Run it again at any time: what is as planned stays, what has drifted is repaired, and without options it repairs
    what the last run made.
    """
    if dry_run + bool(template_file) + destroy + print_provisioner_policy > 1:
        raise UsageError("--dry-run, --template, --destroy and --print-provisioner-policy: give one of them at most")
    folder = data_folder(data)  # the settings themselves may be what is broken, and what this mends
    if destroy:
        _refuse_to_guess(folder, given)
    options = _options(folder, given)
    names = Names.of(options)
    if dry_run:
        require_stored_video(options.region)
        _show_plan(plan(options), names, folder, as_json)
    elif template_file:
        require_stored_video(options.region)
        _write_template(plan(options), names, template_file)
    elif print_provisioner_policy:
        click.echo(json.dumps(permission.provisioner(names), indent=2))
    else:
        clients = Clients(options.region, options.profile)
        with contextlib.closing(clients):
            if destroy:
                _destroy(clients, options, folder, force=force, yes=yes, as_json=as_json)
            else:
                _apply(clients, options, folder, acknowledge=acknowledge_terms, yes=yes, as_json=as_json)


def _options(folder: Path, given: dict[str, Any]) -> Options:
    """Return the options: given now, else as the last run was told, else from the environment."""
    tags = [tag.partition("=") for tag in given.pop("tags")]
    if any(not key or not sign for key, sign, _ in tags):
        raise UsageError("--tags: write key=value")
    named = {name: value for name, value in given.items() if value is not None}
    if tags:
        named["tags"] = tuple((key, value) for key, _, value in tags)
    before = record.choices(folder)
    if not (named.get("region") or before.get("region")):
        named["region"] = walk.usual_region(named.get("profile") or before.get("profile", ""))
    return record.options(before, named)


def _refuse_to_guess(folder: Path, given: dict[str, Any]) -> None:
    """Raise UsageError where neither an earlier run nor the options tell what to remove: defaults may be another's."""
    known = {**record.choices(folder), **{name: value for name, value in given.items() if value}}
    if not (known.get("region") and known.get("prefix")):
        raise UsageError(
            f"nothing was set up for {folder} (it has no {record.CHOICES_FILE}): name its folder with --data, or what "
            "to remove with both --region and --prefix"
        )


def _show_plan(steps: Plan, names: Names, folder: Path, as_json: bool) -> None:
    if as_json:
        shown = [{"step": s.title, "sentence": s.sentence(names), "documents": s.documents(names)} for s in steps]
        click.echo(json.dumps({"region": names.region, "prefix": names.prefix, "steps": shown}, indent=2))
        return
    click.echo(f"The plan for {names.region}. Nothing is asked of AWS, and nothing is changed.\n")
    for number, step in enumerate(steps, start=1):
        click.echo(f"{number:2}. {step.sentence(names)}.")
        for title, document in step.documents(names).items():
            body = json.dumps(document, indent=2).replace("\n", "\n      ")
            click.echo(f"      {title}: {body}")
    click.echo(f"\nThen a test message goes through topic and queue, and {folder / 'aws.toml'} is written:\n")
    for line in record.settings_text(record.settings(names, "<url of the queue>")).splitlines():
        click.echo(f"      {line}")
    click.echo()
    for said in costs.idle(names):
        click.echo(said)


def _write_template(steps: Plan, names: Names, target: str) -> None:
    if target != "-" and not target.lower().endswith((".yaml", ".yml", ".json")):
        raise UsageError(f"--template {target}: end the name with .yaml, .yml or .json")
    made = template.template(steps, names)
    text = template.as_json(made) if target.lower().endswith(".json") else template.as_yaml(made)
    if target == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"cannot write {target}: {exc.strerror}") from exc
    click.echo(f"{target}: deploy it in {names.region} with the capability CAPABILITY_NAMED_IAM", err=True)


def _apply(clients: Clients, options: Options, folder: Path, *, acknowledge: bool, yes: bool, as_json: bool) -> None:
    """Look, ask, make and repair, prove it, and write the settings."""
    who = walk.caller(clients, options)
    steps, names = plan(options), Names.of(options, who.account, tls=walk.speaks_tls(clients))
    findings = list(walk.look_over(steps, clients, names))
    if not as_json:
        _show_findings(findings, names, who.arn)
    _terms(folder, who.arn, acknowledge=acknowledge, yes=yes)
    if not yes and any(finding.drift for finding in findings):
        click.confirm("\nMake these changes?", abort=True, err=True)
    done: list[dict[str, Any]] = []

    def tell(step: Step, drift: Drift) -> None:
        done.append({"step": step.title, "did": "made" if drift.absent else "repaired", "drift": drift.what})
        if not as_json:
            click.echo(f"  {step.title} …")

    names = walk.apply(steps, clients, names, tell)
    took = proof.prove(clients, names)
    written = record.save(folder, names, str(Queue().url(clients, names)))
    if as_json:
        found = {"account": names.account, "region": names.region, "changes": done}
        click.echo(json.dumps({**found, "self_test_s": round(took, 2), "settings": str(written)}, indent=2))
        return
    click.echo(f"A test message took {took:.1f} s from topic to queue. The settings are in {written}.")
    if done:
        click.echo("A new role and new attributes can take a minute until all of AWS knows them.")
    for said in costs.idle(names):
        click.echo(said)
    if who_may := access.searchers(clients, names):
        click.echo(who_may)


def _show_findings(findings: list[walk.Finding], names: Names, who: str) -> None:
    click.echo(f"{names.region}, account {names.account}, as {who}\n")
    for found in findings:
        drift = found.drift
        mark = "as it is" if drift is None else "to make " if drift.absent else "repair  "
        why = f" ({drift.what})" if drift and not drift.absent else ""
        click.echo(f"  {mark}  {found.sentence}{why}")


def _terms(folder: Path, arn: str, *, acknowledge: bool, yes: bool) -> None:
    """Show what is to be known beforehand, once, and record that somebody has read it."""
    if terms.acknowledged(folder):
        return
    click.echo(f"\n{terms.TEXT}", err=True)
    if not acknowledge:
        if yes:
            raise UsageError("--yes does not answer for the text above: read it and add --acknowledge-terms")
        click.confirm("I have read this and it will be kept to", abort=True, err=True)
    terms.record(folder, f"{_user()} ({arn})")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _destroy(clients: Clients, options: Options, folder: Path, *, force: bool, yes: bool, as_json: bool) -> None:
    """Show what is ours, ask, and remove it."""
    who = walk.caller(clients, options)
    names = Names.of(options, who.account)
    removed = walk.removable(clients, names)
    gone = [one.words for one in removed]
    if not removed:
        raise AwsRefused(f"nothing in {names.region} carries the prefix {names.prefix}: nothing to remove")
    if not force:
        walk.refuse_losses(removed, clients)
    if not as_json:
        click.echo(f"{names.region}, account {names.account}: this is removed")
        for words in gone:
            click.echo(f"  {words}")
    if not yes:
        click.confirm("\nRemove it?", abort=True, err=True)
    walk.remove(removed, clients, lambda words: None if as_json else click.echo(f"  {words} …"))
    files = [str(path) for path in record.clear(folder, names)]
    if as_json:
        click.echo(json.dumps({"removed": gone, "files": files}, indent=2))
        return
    click.echo(f"Removed, and {', '.join(files) or 'no file of ours'} with it.")
    click.echo(
        "Face collections are not touched: `aws rekognition list-collections` shows them, `aws rekognition "
        "delete-collection --collection-id NAME` removes one with its faces."
    )


@contextlib.contextmanager
def _one_line(debug: bool) -> Iterator[None]:
    """Turn errors into a line on stderr and an exit code."""
    try:
        yield
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        _fail(f"{exc.format_message()} (see `python setup_aws.py --help`)", exc.exit_code, debug)
    except VidsearchError as exc:
        _fail(str(exc), exc.exit_code, debug)
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)  # the question that was not answered ends its line
        _fail("stopped; run the same command again to go on (for scripts: --yes --acknowledge-terms)", 130, False)


def _fail(message: str, exit_code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"setup_aws: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(exit_code)


if __name__ == "__main__":
    with _one_line("--debug" in sys.argv):
        sys.exit(setup.main(standalone_mode=False, prog_name="setup_aws.py"))
