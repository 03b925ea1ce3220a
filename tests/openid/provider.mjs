// An OpenID provider that we have not written (oidc-provider, certified), with one client and whoever
// signs in. Settings by environment; says its port on standard output when it listens.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const { REDIRECT_URI, CLIENT_SECRET, RESPONSE_MODE } = process.env;
const server = createServer();
await new Promise((listening) => server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "konsil",
      redirect_uris: [REDIRECT_URI],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      // Without a secret it is a public client, and PKCE alone has to do.
      ...(CLIENT_SECRET
        ? { client_secret: CLIENT_SECRET, token_endpoint_auth_method: process.env.AUTH_METHOD ?? "client_secret_basic" }
        : { token_endpoint_auth_method: "none", application_type: "native" }),
    },
  ],
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  // Whoever gives a name is that person; "unproved" has an address that nobody has looked at.
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@clinic.example`, email_verified: id !== "unproved" }),
  }),
  cookies: { keys: ["for these tests only"] },
  features: { devInteractions: { enabled: true } },
  ...(RESPONSE_MODE ? { discovery: { response_modes_supported: RESPONSE_MODE.split(" ") } } : {}),
});
server.on("request", provider.callback());
console.log(issuer);
