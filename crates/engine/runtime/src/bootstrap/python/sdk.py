"""boto3 made ready before its function is known: imported, and with what each first client reads and builds.

Nothing in here is of a function: sessions take region, keys and settings from the environment when they are used, and by
then that is the function's. Where this boto3 is another than the one this was written for, it is imported and no more.
"""

import os

# Whose models are read ahead. What is not among them is read when a function asks for it.
SERVICES = ("s3", "dynamodb", "sqs", "sns", "lambda")
# A region that exists, and keys that do not.
STAGE = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
# A session that nobody has used, and what makes another.
READY = []
MAKERS = []


def warm_up():
    """Imports boto3 if there is one, and makes clients. What they read goes to all clients to come."""
    try:
        import boto3
        import botocore.endpoint_provider
        import botocore.session
    except Exception:
        # There is none, or a broken one, which then shows where a function imports it.
        return
    with Stage():
        session = boto3.Session()
        with_rules_kept(botocore.endpoint_provider, lambda: [session.client(service) for service in SERVICES])
        share(botocore.session, session._session)


class Stage:
    """An environment in which clients can be made, and no trace of it afterwards. Errors end here: of another boto3's inside
    nothing is known."""

    def __enter__(self):
        self.before = dict(os.environ)
        os.environ.update(STAGE)

    def __exit__(self, kind, error, trace):
        import boto3

        boto3.DEFAULT_SESSION = None
        os.environ.clear()
        os.environ.update(self.before)
        return kind is None or issubclass(kind, Exception)


def with_rules_kept(module, make_clients):
    """Makes clients, and keeps the rules for endpoints that were built for them: from the same data comes the same."""
    build, built = module.RuleSet, {}

    def known(parts):
        return id(parts.get("rules")), id(parts.get("partitions"))

    def build_and_keep(**parts):
        # With the data, so that nothing else ever has its place.
        built[known(parts)] = build(**parts), parts
        return built[known(parts)][0]

    def find_or_build(**parts):
        found = built.get(known(parts))
        return found[0] if found else build(**parts)

    module.RuleSet = build_and_keep
    try:
        make_clients()
    finally:
        module.RuleSet = find_or_build


def share(module, warm):
    """What a session has read goes to those to come, and the first of them is already built."""
    loaded = dict(warm.get_component("data_loader")._cache)
    aliases = dict(warm._events._alias_name_cache)
    create_loader, get_session = module.create_loader, module.get_session

    def create_warm_loader(search_path_string=None):
        loader = create_loader(search_path_string)
        # Models of the function's own may stand there, and win.
        if search_path_string is None and not os.path.isdir(loader.CUSTOMER_DATA_PATH):
            loader._cache.update(loaded)
        return loader

    def make():
        session = module.Session()
        session._events._alias_name_cache.update(aliases)
        return session

    def get_warm_session(env_vars=None):
        if env_vars is not None or not READY:
            return get_session(env_vars)
        session = READY.pop()
        # The one thing that it has read of its environment.
        session._register_user_agent_creator()
        return session

    module.create_loader, module.get_session = create_warm_loader, get_warm_session
    READY.append(make())
    MAKERS.append(make)


def rehearse():
    """Makes a client as a function does."""
    if not MAKERS:
        return
    with Stage():
        import boto3

        boto3.client(SERVICES[0])
        READY[:] = [MAKERS[0]()]
