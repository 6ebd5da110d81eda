"""Keys of services, by forms that are written down here a second time."""

from __future__ import annotations

import string

from tests.redaction.values import ALNUM, HEX, UPPER, Maker

# A letter stands for one character: a letters and digits, h hex, u capitals and digits, w with _
# and -, d digits, l letters; after it how many.  What is in brackets stands as it is.
KEYS = {
    "adafruit_io_key": "[aio_]a28", "age_secret_key": "[AGE-SECRET-KEY-1]x58", "airtable_token": "[pat]a14[.]h64",
    "alibaba_access_key": "[LTAI]a20", "anthropic_key": "[sk-ant-api03-]w93[AA]", "apify_token": "[apify_api_]a36",
    "artifactory_key": "[AKCp]a69", "asana_token": "[1/]d16[:]h32", "atlassian_token": "[ATATT3]w186",
    "aws_access_key": "[AKIA]b16", "axiom_token": "[xaat-]h8[-]h4[-]h4[-]h4[-]h12", "bitbucket_token": "[ATBB]a32",
    "buildkite_token": "[bkua_]h40", "circleci_token": "[CCIPAT_]a22[_]h40", "clickhouse_key": "[4b1d]a38",
    "clojars_token": "[CLOJARS_]a60", "cloudflare_ca_key": "[v1.0-]h24[-]h146", "contentful_token": "[CFPAT-]w43",
    "crates_io_token": "[cio]a32", "databricks_token": "[dapi]h32", "deno_token": "[ddp_]a36",
    "digitalocean_token": "[dop_v1_]h64", "docker_token": "[dckr_pat_]w27", "doppler_token": "[dp.pt.]a43",
    "duffel_token": "[duffel_live_]w43", "dynatrace_token": "[dt0c01.]u24[.]u64", "easypost_key": "[EZAK]a54",
    "elevenlabs_key": "[sk_]h48", "facebook_token": "[EAAB]a120", "figma_token": "[figd_]w40",
    "firecrawl_key": "[fc-]h32", "flutterwave_key": "[FLWSECK_TEST-]h32[-X]", "flyio_token": "[fo1_]w43",
    "frameio_token": "[fio-u-]w64", "google_api_key": "[AIza]w35", "google_oauth_secret": "[GOCSPX-]w28",
    "google_oauth_token": "[ya29.]w80", "github_token": "[github_pat_]a22[_]a59", "gitlab_token": "[glpat-]w20",
    "grafana_token": "[glc_]a60", "groq_key": "[gsk_]a52", "harness_token": "[pat.]w22[.]a24[.]a20",
    "hashicorp_vault_token": "[hvs.]w92", "heroku_key": "[HRKU-]h8[-]h4[-]h4[-]h4[-]h12",
    "honeycomb_key": "[hcaik_]a58", "hubspot_token": "[pat-na1-]h8[-]h4[-]h4[-]h4[-]h12",
    "huggingface_token": "[hf_]l34", "infracost_key": "[ico-]a32", "intra42_secret": "[s-s4t2ud-]h64",
    "jina_key": "[jina_]w60", "klaviyo_key": "[pk_]h34", "langfuse_key": "[sk-lf-]h8[-]h4[-]h4[-]h4[-]h12",
    "langsmith_key": "[lsv2_pt_]h32[_]h10", "launchdarkly_key": "[sdk-]h8[-]h4[-]h4[-]h4[-]h12",
    "linear_key": "[lin_api_]a40", "lob_key": "[live_]h35", "mailersend_key": "[mlsn.]h64", "mailgun_key": "[key-]h32",
    "mapbox_token": "[sk.eyJ]a60[.]w22", "mailchimp_key": "h32[-us14]", "neon_key": "[napi_]a64",
    "netlify_token": "[nfp_]a36", "newrelic_key": "[NRAK-]u27", "notion_token": "[ntn_]d11a35",
    "npm_token": "[npm_]a36", "nuget_key": "[oy2]z43", "nvidia_key": "[nvapi-]w64", "nylas_key": "[nyk_v0_]a64",
    "octopus_deploy_key": "[API-]u26", "onepassword_key": "[A3-]u6[-]u11[-]u5[-]u5[-]u5",
    "openai_key": "[sk-proj-]w74[T3BlbkFJ]w74", "openrouter_key": "[sk-or-v1-]h64", "openshift_token": "[sha256~]w43",
    "perplexity_key": "[pplx-]a48", "pinecone_key": "[pcsk_]a6[_]a63", "plaid_token": "[access-production-]h8[-]h4[-]h4[-]h4[-]h12",
    "planetscale_token": "[pscale_tkn_]w43", "posthog_key": "[phx_]a43", "postman_key": "[PMAK-]h24[-]h34",
    "prefect_key": "[pnu_]a36", "pulumi_token": "[pul-]h40", "pypi_token": "[pypi-AgEIcHlwaS5vcmc]w120",
    "razorpay_key": "[rzp_live_]a14", "readme_key": "[rdme_]z70", "replicate_token": "[r8_]a37", "resend_key": "[re_]a8[_]a24",
    "rubygems_key": "[rubygems_]h48", "scalingo_token": "[tk-us-]w48", "sendgrid_key": "[SG.]w22[.]w43",
    "sendinblue_key": "[xkeysib-]h64[-]a16", "sentry_token": "[sntryu_]h64", "settlemint_token": "[sm_pat_]a16",
    "shippo_token": "[shippo_live_]h40", "shopify_token": "[shpat_]h32", "slack_token": "[xoxb-]d12[-]d12[-]a24",
    "slack_webhook": "[https://hooks.slack.com/services/T]u8[/B]u8[/]a24", "sonar_token": "[squ_]h40",
    "sourcegraph_token": "[sgp_]h40", "square_token": "[sq0atp-]w22", "stripe_key": "[sk_live_]a24", "supabase_key": "[sbp_]h40",
    "tailscale_key": "[tskey-auth-]a12[-]a32", "tavily_key": "[tvly-]a32", "telegram_bot_token": "d9[:A]w34",
    "terraform_token": "a14[.atlasv1.]w64", "together_key": "[tgp_v1_]w43", "trello_token": "[ATTA]a72", "twilio_key": "[SK]h32",
    "typeform_token": "[tfp_]w59", "vercel_blob_token": "[vercel_blob_rw_]a16[_]a30", "voyage_key": "[pa-]w43",
    "wakatime_key": "[waka_]h8[-]h4[-]h4[-]h4[-]h12", "xai_key": "[xai-]a80", "azure_client_secret": "a3d1[Q~]w34",
    "azure_devops_token": "a76[AZDO]a4", "azure_storage_key": "[AccountKey=]p86[==]", "discord_bot_token": "[M]w24[.]w6[.]w38",
    "paypal_token": "[access_token$production$]z16[$]h32", "snyk_token": "[snyk_uat.]h8[.]w40[.]w60",
    "yandex_key": "[AQVN]w38", "teams_webhook": "[https://acme.webhook.office.com/webhookb2/]h8[-]h4[-]h4[-]h4[-]h12[@]h8[-]h4[-]h4[-]h4[-]h12[/IncomingWebhook/]h32[/]h8[-]h4[-]h4[-]h4[-]h12",
    "discord_webhook": "[https://discord.com/api/webhooks/]d18[/]w68", "maxmind_key": "a6[_]a29[_mmk]", "wandb_key": "[wandb_v1_]w77",
}  # fmt: skip
_ALPHABETS = {
    "a": ALNUM, "h": HEX, "u": UPPER, "w": ALNUM + "_-", "d": string.digits, "l": string.ascii_letters,
    "b": string.ascii_uppercase + "234567", "z": string.ascii_lowercase + string.digits, "p": ALNUM + "+/",
    "x": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}  # fmt: skip


def key(m: Maker, form: str) -> str:
    out, at = [], 0
    while at < len(form):
        if form[at] == "[":
            end = form.index("]", at)
            out.append(form[at + 1 : end])
            at = end + 1
            continue
        end = at + 1
        while end < len(form) and form[end].isdigit():
            end += 1
        out.append(m.of(_ALPHABETS[form[at]], int(form[at + 1 : end])))
        at = end
    # A value that ends in a sign would end before it.
    return "".join(out) if out[-1][-1].isalnum() or out[-1] == "==" else key(m, form)


SERVICES = {"aws_secret_key": ("aws_secret_access_key", "p40"), "datadog_key": ("datadog api key", "h32"),
            "twilio_token": ("TWILIO_AUTH_TOKEN", "h32"), "algolia_key": ("algolia_api_key", "h32"),
            "cloudflare_token": ("CLOUDFLARE_API_TOKEN", "w40"), "okta_token": ("okta token", "[00]w40")}  # fmt: skip
