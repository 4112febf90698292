"""Where functions register what is to run before a snapshot is taken and after it was restored. AWS's managed runtimes bring
a module of this name and these functions; one that the function brings itself wins."""

__all__ = ["register_before_snapshot", "register_after_restore"]

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Runs `func` before the snapshot; those registered last run first. Also a decorator."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Runs `func` after each restore; those registered first run first. Also a decorator."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    """What the runtime runs before a snapshot."""
    return _before_snapshot


def get_after_restore():
    """What the runtime runs after a restore."""
    return _after_restore
