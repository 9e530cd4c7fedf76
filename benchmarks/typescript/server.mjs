// The TypeScript SDK's server, both eras on one endpoint, answers as JSON. Environment: PORT, ISSUER, AUDIENCE.
import { createMcpExpressApp, requireBearerAuth } from "@modelcontextprotocol/express";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer, OAuthError, OAuthErrorCode } from "@modelcontextprotocol/server";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { z } from "zod";

const { PORT, ISSUER: issuer, AUDIENCE: audience } = process.env;
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));

const verifier = {
  async verifyAccessToken(token) {
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: ["RS256"] });
      const scopes = payload.scope.split(" ");
      return { token, clientId: payload.client_id, scopes, expiresAt: payload.exp, extra: { claims: payload } };
    } catch (error) {
      throw new OAuthError(OAuthErrorCode.InvalidToken, error.message);
    }
  },
};

const Caller = z.object({
  subject: z.string(),
  client_id: z.string(),
  issuer: z.string(),
  scopes: z.array(z.string()),
});

function build() {
  const server = new McpServer({ name: "typescript", version: "0" });
  server.registerTool(
    "whoami",
    { description: "Tell who is logged in.", inputSchema: z.object({}), outputSchema: Caller },
    async (_, { http }) => {
      const { claims } = http.authInfo.extra;
      const said = { subject: claims.sub, client_id: claims.client_id, issuer: claims.iss, scopes: http.authInfo.scopes };
      return { content: [{ type: "text", text: JSON.stringify(said, null, 2) }], structuredContent: said };
    },
  );
  return server;
}

// On 2025-11-25 createMcpHandler answers as a stream and has no option for that, so its transport is used directly.
async function legacy(request, response) {
  const transport = new NodeStreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  const server = build();
  response.on("close", () => server.close());
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
}

const modern = toNodeHandler(createMcpHandler(build, { legacy: "reject" }));
const app = createMcpExpressApp();
app.post("/mcp", requireBearerAuth({ verifier, requiredScopes: ["notes:read"] }), (request, response) =>
  request.get("mcp-protocol-version") < "2026"
    ? legacy(request, response)
    : modern(request, response, request.body),
);
app.listen(Number(PORT), "127.0.0.1");
