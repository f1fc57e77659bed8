"""The floors of the house: imports go down, neighbours do not import each other, every outside library has an owner."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("vidsearch", "web")

PURE = {"model", "states", "errors", "settings", "engine", "clock", "cuts"}
ADAPTERS = {"engines", "store", "media", "aws"}
DOORS = {"cli", "__main__"}

OWNERS = {
    "flask": ("web",),
    "flask_wtf": ("web",),
    "werkzeug": ("web",),
    "jinja2": ("web",),
    "markupsafe": ("web",),
    "waitress": ("web",),
    "click": ("vidsearch.cli",),
    "rich": ("vidsearch.cli",),
    "sqlite3": (
        "vidsearch.store",
        "vidsearch.engines.local",
        "vidsearch.engines.rekognition",
        "vidsearch.rekognition_local",
    ),
    "sqlite_utils": ("vidsearch.store",),
    "av": ("vidsearch.media",),
    "PIL": ("vidsearch.media",),
    "pillow_heif": ("vidsearch.media",),
    "ffmpeg": ("vidsearch.media",),
    "imageio_ffmpeg": ("vidsearch.media",),
    "cv2": ("vidsearch.media", "vidsearch.engines.local", "vidsearch.engines.rekognition"),
    "onnx": ("vidsearch.engines.local",),
    "onnxruntime": ("vidsearch.engines.local",),
    "ai_edge_litert": ("vidsearch.engines.local",),
    "dlib": ("vidsearch.engines.local",),
    "boto3": ("vidsearch.aws", "vidsearch.engines.rekognition"),
    "botocore": ("vidsearch.aws", "vidsearch.engines.rekognition"),
    "platformdirs": ("vidsearch.settings",),
}
"""Outside library -> the packages that may import it. Those not named here may be used where they are needed."""


LAST_RESORT = "vidsearch.cli"
"""The one place that catches everything: it turns a bug into one line and an exit code."""


def name_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def nodes(root: ast.AST) -> Iterator[ast.AST]:
    """Yield every node except those only a type checker sees."""
    for child in ast.iter_child_nodes(root):
        if not is_for_types(child):
            yield child
            yield from nodes(child)


def imports(module: str) -> set[str]:
    """Return the modules that a module imports, anywhere in it."""
    found = set()
    for node in nodes(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            base = str(node.module)
            # `from package import module` imports the module; `from module import name` the module it is in.
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base for a in node.names}
    return found


IMPORTS = {module: imports(module) for module in MODULES}


def floor(module: str) -> int:
    """Return the floor of one of our modules: 0 pure, 1 adapters, 2 what the product does, 3 wiring, 4 doors."""
    package, *rest = module.split(".")
    if package == "web":
        return 4
    if not rest:
        return 0
    if rest[0] in PURE:
        return 0
    if rest[0] in ADAPTERS:
        return 1
    if rest[0] == "app":
        return 3
    return 4 if rest[0] in DOORS else 2


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_imports_go_down():
    up = [(m, other) for m in MODULES for other in IMPORTS[m] if other in MODULES and floor(other) > floor(m)]
    assert not up


def test_adapters_do_not_import_each_other():
    pairs = [(m, o) for m in MODULES if floor(m) == 1 for o in IMPORTS[m] if o in MODULES and floor(o) == 1]
    # The table of engines loads each engine, and whatever talks to AWS shares its sessions.
    assert not [
        (module, other)
        for module, other in pairs
        if adapter(module) != adapter(other) and module != "vidsearch.engines" and adapter(other) != "aws"
    ]


def adapter(module: str) -> str:
    """Return which adapter a module belongs to; each engine is one of its own."""
    parts = module.split(".")
    return ".".join(parts[1:3]) if parts[1] == "engines" else parts[1]


def test_outside_libraries_have_an_owner():
    astray = []
    for module in MODULES:
        for other in IMPORTS[module]:
            owners = OWNERS.get(other.split(".")[0])
            if owners is not None and not any(is_in(module, owner) for owner in owners):
                astray.append((module, other))
    assert not astray


def test_the_pure_floor_needs_only_the_standard_library():
    outside = {
        (module, other)
        for module in MODULES
        if floor(module) == 0
        for other in IMPORTS[module]
        if other.split(".")[0] not in {*sys.stdlib_module_names, *PACKAGES, "platformdirs"}
    }
    assert not outside


def test_no_import_cycle():
    graph = {module: {other for other in IMPORTS[module] if other in MODULES} for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in graph[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_no_globals_that_change():
    assert not [module for module in MODULES for node in ast.walk(tree(module)) if isinstance(node, ast.Global)]


def test_no_broad_except():
    broad = []
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ExceptHandler):
                caught = "everything" if node.type is None else ast.unparse(node.type)
                # Undoing something and going on with the same error is not catching it.
                last = node.body[-1]
                passed_on = isinstance(last, ast.Raise) and last.exc is None
                if caught in ("everything", "Exception", "BaseException") and not passed_on and module != LAST_RESORT:
                    broad.append(f"{module}:{node.lineno} catches {caught}")
    assert not broad


def test_nothing_is_left_for_later():
    words = ("TODO", "FIXME", "XXX", "../shared", "/work/")
    texts = {module: path.read_text(encoding="utf-8") for module, path in MODULES.items()}
    assert not [(module, word) for module, text in texts.items() for word in words if word in text]
