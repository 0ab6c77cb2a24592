/**
 * A certified provider of OpenID Connect, `oidc-provider`, for one client.
 *
 * The first argument is JSON: `client` (its metadata) and `people` (name to groups). It
 * prints its issuer. Each line of its input replaces `people`.
 */
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const { client, people } = JSON.parse(process.argv[2]);
let groups = people;

const keys = [];
for (const alg of ["RS256", "ES256", "EdDSA"]) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  keys.push({ ...(await exportJWK(privateKey)), alg, use: "sig", kid: alg });
}

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [client],
    jwks: { keys },
    cookies: { keys: ["a key of the tests"] },
    claims: { openid: ["sub"], groups: ["groups"] },
    scopes: ["openid", "groups"],
    // Without the scope offline_access, which asks people for more.
    issueRefreshToken: async (_, asking) => asking.grantTypeAllowed("refresh_token"),
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, groups: groups[id] ?? [] }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});

createInterface({ input: process.stdin })
  .on("line", (line) => { groups = JSON.parse(line); })
  .on("close", () => process.exit(0));
