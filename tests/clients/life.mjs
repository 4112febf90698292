// The life of a function as aws-sdk-js v3 sees it, with its waiters, paginators and typed exceptions.
// Called with the package.json beside node_modules, a zip, a second zip, a runtime, a role's name and the function's name.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [packages, zip, secondZip, runtime, roleName, name] = process.argv.slice(2);
const require = createRequire(packages);
const lambda = require("@aws-sdk/client-lambda");
const sts = require("@aws-sdk/client-sts");
const iam = require("@aws-sdk/client-iam");
const logs = require("@aws-sdk/client-cloudwatch-logs");

// Endpoint, region and keys come from the environment, as in people's own programs.
const functions = new lambda.LambdaClient({ maxAttempts: 1 });
const tokens = new sts.STSClient({ maxAttempts: 1 });
const identities = new iam.IAMClient({ maxAttempts: 1 });
const lines = new logs.CloudWatchLogsClient({ maxAttempts: 1 });
const patience = { maxWaitTime: 20, minDelay: 1, maxDelay: 1 };
const text = (bytes) => new TextDecoder().decode(bytes);

async function fails(exception, client, command, message) {
  const error = await client.send(command).then(() => assert.fail("it did not fail"), (error) => error);
  assert.ok(error instanceof exception, `${error.name}: ${error.message}`);
  assert.equal(error.$fault, "client");
  if (message) assert.match(error.message, message);
  return error;
}

async function identity() {
  const who = await tokens.send(new sts.GetCallerIdentityCommand({}));
  assert.equal(who.Account, "000000000000");
  const document = (service) =>
    JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: service, Action: "sts:AssumeRole" }] });
  const make = (RoleName, principal) =>
    identities.send(new iam.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: document(principal) }));
  const { Role } = await make(roleName, { Service: "lambda.amazonaws.com" });
  assert.ok(Role.CreateDate instanceof Date);
  const exists = new iam.CreateRoleCommand({ RoleName: roleName, AssumeRolePolicyDocument: document({ AWS: "*" }) });
  await fails(iam.EntityAlreadyExistsException, identities, exists, /already exists/);
  await fails(iam.NoSuchEntityException, identities, new iam.GetRoleCommand({ RoleName: "nobody" }), /cannot be found/);
  const other = await make(`${roleName}-other`, { AWS: who.Account });
  const seen = [];
  for await (const page of iam.paginateListRoles({ client: identities, pageSize: 1 }, {})) seen.push(...page.Roles);
  assert.ok(seen.length >= 2 && new Set(seen.map((role) => role.RoleName)).size === seen.length);
  const assumed = await tokens.send(
    new sts.AssumeRoleCommand({ RoleArn: other.Role.Arn, RoleSessionName: "js", Tags: [], DurationSeconds: 900 }),
  );
  assert.ok(assumed.Credentials.Expiration > new Date());
  const { AccessKeyId, SecretAccessKey, SessionToken } = assumed.Credentials;
  const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
  const inner = await new sts.STSClient({ credentials }).send(new sts.GetCallerIdentityCommand({}));
  assert.equal(inner.Arn, `arn:aws:sts::000000000000:assumed-role/${roleName}-other/js`);
  const untrusting = create(other.Role.Arn, `${name}-untrusted`);
  await fails(lambda.InvalidParameterValueException, functions, untrusting, /cannot be assumed by Lambda\.$/);
  await identities.send(new iam.DeleteRoleCommand({ RoleName: `${roleName}-other` }));
  return Role.Arn;
}

function create(Role, FunctionName = name) {
  return new lambda.CreateFunctionCommand({
    FunctionName,
    Runtime: runtime,
    Role,
    Handler: "app.handler",
    Code: { ZipFile: readFileSync(zip) },
    Environment: { Variables: { STAGE: "one" } },
    Tags: { team: "blue" },
  });
}

async function lives(Role) {
  await fails(lambda.ResourceNotFoundException, functions, new lambda.GetFunctionCommand({ FunctionName: name }), /Function not found/);
  const made = await functions.send(create(Role));
  assert.equal(made.FunctionName, name);
  await lambda.waitUntilFunctionActiveV2({ client: functions, ...patience }, { FunctionName: name });
  await fails(lambda.ResourceConflictException, functions, create(Role), /^Function already exist/);
  const got = await functions.send(new lambda.GetFunctionCommand({ FunctionName: name }));
  assert.equal(got.Configuration.State, "Active");
  assert.deepEqual(got.Configuration.Environment.Variables, { STAGE: "one" });
  assert.deepEqual(got.Tags, { team: "blue" });
  return made.FunctionArn;
}

async function invokes() {
  const call = (more) => functions.send(new lambda.InvokeCommand({ FunctionName: name, ...more }));
  const sync = await call({ Payload: JSON.stringify({ say: "hello" }), LogType: "Tail" });
  assert.deepEqual([sync.StatusCode, sync.FunctionError, sync.ExecutedVersion], [200, undefined, "$LATEST"]);
  assert.deepEqual(JSON.parse(text(sync.Payload)), { said: "hello", stage: "one" });
  const tail = Buffer.from(sync.LogResult, "base64").toString();
  assert.match(tail, /START RequestId: [^]*saying hello[^]*REPORT RequestId: /);
  assert.equal((await call({ InvocationType: "Event", Payload: JSON.stringify({ say: "later" }) })).StatusCode, 202);
  assert.equal((await call({ InvocationType: "DryRun" })).StatusCode, 204);
  const failed = await call({ Payload: JSON.stringify({ fail: true }) });
  assert.equal(failed.FunctionError, "Unhandled");
  assert.equal(JSON.parse(text(failed.Payload)).errorType, "ValueError");
  await fails(lambda.InvalidRequestContentException, functions, new lambda.InvokeCommand({ FunctionName: name, Payload: "{" }));
  await functions.send(new lambda.PutFunctionConcurrencyCommand({ FunctionName: name, ReservedConcurrentExecutions: 0 }));
  const throttled = await fails(lambda.TooManyRequestsException, functions, new lambda.InvokeCommand({ FunctionName: name }));
  assert.equal(throttled.Reason, "ReservedFunctionConcurrentInvocationLimitExceeded");
  await functions.send(new lambda.DeleteFunctionConcurrencyCommand({ FunctionName: name }));
}

async function changes(arn) {
  await functions.send(new lambda.UpdateFunctionCodeCommand({ FunctionName: name, ZipFile: readFileSync(secondZip) }));
  await lambda.waitUntilFunctionUpdatedV2({ client: functions, ...patience }, { FunctionName: name });
  const changed = await functions.send(
    new lambda.UpdateFunctionConfigurationCommand({ FunctionName: name, Environment: { Variables: { STAGE: "two" } }, Timeout: 7 }),
  );
  assert.equal(changed.Timeout, 7);
  await lambda.waitUntilFunctionUpdatedV2({ client: functions, ...patience }, { FunctionName: name });
  const again = await functions.send(new lambda.InvokeCommand({ FunctionName: name, Payload: JSON.stringify({ say: "hello" }) }));
  assert.deepEqual(JSON.parse(text(again.Payload)), { second: "hello", stage: "two" });
  await functions.send(new lambda.TagResourceCommand({ Resource: arn, Tags: { team: "red", size: "s" } }));
  await functions.send(new lambda.UntagResourceCommand({ Resource: arn, TagKeys: ["size"] }));
  assert.deepEqual((await functions.send(new lambda.ListTagsCommand({ Resource: arn }))).Tags, { team: "red" });
}

async function publishes() {
  const published = await functions.send(new lambda.PublishVersionCommand({ FunctionName: name, Description: "first" }));
  assert.equal(published.Version, "1");
  const alias = { FunctionName: name, Name: "live" };
  await functions.send(new lambda.CreateAliasCommand({ ...alias, FunctionVersion: "1" }));
  assert.equal((await functions.send(new lambda.GetAliasCommand(alias))).FunctionVersion, "1");
  const by = await functions.send(new lambda.InvokeCommand({ FunctionName: name, Qualifier: "live", Payload: JSON.stringify({ say: "x" }) }));
  assert.deepEqual([by.ExecutedVersion, JSON.parse(text(by.Payload)).second], ["1", "x"]);
  await fails(lambda.ResourceNotFoundException, functions, new lambda.GetAliasCommand({ FunctionName: name, Name: "none" }));
  const versions = [];
  for await (const page of lambda.paginateListVersionsByFunction({ client: functions, pageSize: 1 }, { FunctionName: name })) {
    versions.push(...page.Versions.map((one) => one.Version));
  }
  assert.deepEqual(versions, ["$LATEST", "1"]);
  await functions.send(new lambda.DeleteAliasCommand(alias));
}

async function answersUrls() {
  const url = await functions.send(new lambda.CreateFunctionUrlConfigCommand({ FunctionName: name, AuthType: "NONE" }));
  const permit = (StatementId, more) =>
    functions.send(new lambda.AddPermissionCommand({ FunctionName: name, StatementId, Principal: "*", ...more }));
  await permit("url", { Action: "lambda:InvokeFunctionUrl", FunctionUrlAuthType: "NONE" });
  await permit("function", { Action: "lambda:InvokeFunction", InvokedViaFunctionUrl: true });
  const id = new URL(url.FunctionUrl).host.split(".")[0];
  const answer = await fetch(`${process.env.AWS_ENDPOINT_URL}/_lambent/url/${id}/`, { method: "POST", body: "{}" });
  assert.equal(answer.status, 200);
  const policy = await functions.send(new lambda.GetPolicyCommand({ FunctionName: name }));
  assert.equal(JSON.parse(policy.Policy).Statement.length, 2);
  await fails(
    lambda.ResourceConflictException,
    functions,
    new lambda.CreateFunctionUrlConfigCommand({ FunctionName: name, AuthType: "NONE" }),
  );
  await functions.send(new lambda.DeleteFunctionUrlConfigCommand({ FunctionName: name }));
}

async function lists(Role) {
  await functions.send(create(Role, `${name}-b`));
  const seen = [];
  for await (const page of lambda.paginateListFunctions({ client: functions, pageSize: 1 }, {})) {
    assert.ok(page.Functions.length <= 1);
    seen.push(...page.Functions.map((one) => one.FunctionName));
  }
  assert.ok(seen.includes(name) && seen.includes(`${name}-b`) && new Set(seen).size === seen.length);
  await functions.send(new lambda.DeleteFunctionCommand({ FunctionName: `${name}-b` }));
}

async function isLogged() {
  const logGroupName = `/aws/lambda/${name}`;
  const begin = Date.now();
  // Logs are written beside the answers.
  for (;;) {
    const found = await lines
      .send(new logs.FilterLogEventsCommand({ logGroupName, filterPattern: '"saying later"' }))
      .catch((error) => assert.ok(error instanceof logs.ResourceNotFoundException, error.message));
    if (found?.events.length === 1) break;
    assert.ok(Date.now() - begin < 20_000, "the event's line never came");
    await new Promise((done) => setTimeout(done, 50));
  }
  const streams = [];
  for await (const page of logs.paginateDescribeLogStreams({ client: lines, pageSize: 1 }, { logGroupName })) {
    streams.push(...page.logStreams);
  }
  assert.ok(streams.length >= 1);
  await fails(logs.ResourceNotFoundException, lines, new logs.DescribeLogStreamsCommand({ logGroupName: "/none" }));
}

async function ends() {
  await functions.send(new lambda.DeleteFunctionCommand({ FunctionName: name }));
  await fails(lambda.ResourceNotFoundException, functions, new lambda.InvokeCommand({ FunctionName: name }), /Function not found/);
  await fails(lambda.ResourceNotFoundException, functions, new lambda.DeleteFunctionCommand({ FunctionName: name }));
  await identities.send(new iam.DeleteRoleCommand({ RoleName: roleName }));
}

const role = await identity();
const arn = await lives(role);
await invokes();
await changes(arn);
await publishes();
await answersUrls();
await lists(role);
await isLogged();
await ends();
console.log("lived");
