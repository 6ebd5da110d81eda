"""
API keys by their forms: behind a prefix of their own, around a mark, or beside their service's name.

One line a form: its kind, its sign, and a bounded pattern, in which `{a}` is a letter or a digit,
`{h}` a hex digit, `{w}` a letter, a digit, `_` or `-`, `{b}` base64's, `{u}` a UUID.  A form with a
check of its own names it last.  Sources: each service's documentation of its keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_PREFIXED = r"""
adafruit_io_key aio_ {a}{28}
age_secret_key AGE-SECRET-KEY-1 [QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}
age_secret_key AGE-SECRET-KEY-PQ-1 [QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{50,90}
airtable_token pat {a}{14}\.{h}{64}
aiven_token AVNS_ {w}{19}
alibaba_access_key LTAI {a}{16,20}
amplitude_key ampl_ {a}{32,64}
anthropic_key sk-ant-api03- {w}{80,110}
anthropic_key sk-ant-admin01- {w}{80,110}
anthropic_key sk-ant-oat01- {w}{80,110}
anthropic_key sk-ant-sid01- {w}{80,120}
anyscale_key esecret_ {a}{24,32}
apify_token apify_api_ {a}{36}
artifactory_key AKCp {a}{69}
artifactory_token cmVmd {a}{59}
asana_token 1/ \d{16}:{h}{32}
asana_token 2/ \d{16}/\d{16}:{h}{32}
atlassian_token ATATT3 {w}{180,240}(?:=[0-9A-F]{8})?
atlassian_token ATCTT3 {w}{180,240}(?:=[0-9A-F]{8})?
authress_key sc_ {a}{5,30}\.{a}{4,6}\.acc[_-]{w}{10,32}\.{b}{30,120}={0,2}
aws_access_key AKIA [A-Z2-7]{16}
aws_access_key ASIA [A-Z2-7]{16}
aws_access_key ABIA [A-Z2-7]{16}
aws_access_key ACCA [A-Z2-7]{16}
aws_bedrock_key ABSK {b}{109,269}={0,2}
axiom_token xaat- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
axiom_token xapt- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
bitbucket_token ATBB {a}{24,32}
brave_search_key BSA {w}{27,29}
browserbase_key bb_live_ {w}{20,40}
buildkite_token bkua_ {h}{40}
cerebras_key csk- {a}{40,60}
circleci_token CCIPAT_ {a}{22}_{h}{40}
circleci_token CCIPRJ_ {a}{22}_{h}{40}
clickhouse_key 4b1d {a}{38}
clojars_token CLOJARS_ {a}{60}
cloudflare_ca_key v1.0- {h}{24}-{h}{146}
cloudflare_token cfut_ {a}{40,60}
cloudflare_token cfat_ {a}{40,60}
cockroach_key CCDB1_ {a}{22}_{a}{40}
cohere_key co_ {a}{38,60}
contentful_token CFPAT- {w}{43}
crates_io_token cio {a}{32}
databricks_token dapi {h}{32}(?:-\d)?
databricks_token dose {h}{32}(?:-\d)?
deno_token ddp_ {a}{36}
deno_token ddw_ {a}{36}
digitalocean_token dop_v1_ {h}{64}
digitalocean_token doo_v1_ {h}{64}
digitalocean_token dor_v1_ {h}{64}
docker_token dckr_pat_ {w}{27}
docker_token dckr_oat_ {w}{32}
doppler_token dp.pt. {a}{40,44}
doppler_token dp.st. (?:[a-z0-9_-]{2,35}\.)?{a}{40,44}
doppler_token dp.ct. {a}{40,44}
doppler_token dp.sa. {a}{40,44}
doppler_token dp.scim. {a}{40,44}
doppler_token dp.audit. {a}{40,44}
dropbox_token sl. (?:u\.)?{w}{130,1200}
duffel_token duffel_test_ {w}{43}
duffel_token duffel_live_ {w}{43}
dynatrace_token dt0c01. [A-Z0-9]{24}\.[A-Z0-9]{64}
dynatrace_token dt0s16. [A-Z0-9]{8}\.[A-Z0-9]{64}
easypost_key EZAK {a}{54}
easypost_key EZTK {a}{54}
elevenlabs_key sk_ {h}{48}
facebook_token EAA [A-Z]{w}{40,300}
figma_token figd_ {w}{38,44}
figma_token figo_ {w}{38,44}
figma_token figu_ {w}{38,44}
finicity_token fin_ {h}{32}
fireworks_key fw_ {a}{22,24}
firecrawl_key fc- {h}{32}
flutterwave_key FLWSECK_TEST- [0-9a-h]{32}-X
flutterwave_key FLWSECK- [0-9a-h]{32}-X
flyio_token fo1_ {w}{43}
flyio_token fm1a_ {b}{100,2000}={0,3}
flyio_token fm1r_ {b}{100,2000}={0,3}
flyio_token fm2_ {b}{100,2000}={0,3}
frameio_token fio-u- {w}{64}
google_api_key AIza {w}{35}
google_oauth_secret GOCSPX- {w}{28}
google_oauth_token ya29. {w}{20,1024}
google_refresh_token 1//0 {w}{40,200}
github_token ghp_ {a}{36} crc
github_token gho_ {a}{36} crc
github_token ghu_ {a}{36} crc
github_token ghs_ {a}{36} crc
github_token ghr_ {a}{36} crc
github_token ghr_ {a}{76}
github_token github_pat_ {a}{22}_{a}{59}
gitlab_token glpat- {w}{20,300}(?:\.{w}{2}\.{a}{9})?
gitlab_token gldt- {w}{20,64}
gitlab_token glrt- (?:t\d_)?{w}{20,64}(?:\.{w}{2}\.{a}{9})?
gitlab_token glrtr- {w}{20,64}
gitlab_token glptt- {h}{40}
gitlab_token glcbt- {a}{1,5}_{w}{20,64}
gitlab_token glimt- {w}{25}
gitlab_token glft- {w}{20,64}
gitlab_token glffct- {w}{20,64}
gitlab_token glagent- {w}{50}
gitlab_token gloas- {w}{64}
gitlab_token glsoat- {w}{20,64}
gitlab_token glwt- {w}{20,64}
gitlab_token GR1348941 {w}{20,64}
grafana_token glsa_ {a}{32}_{h}{8} hex_crc
grafana_token glc_ {b}{32,400}={0,3}
grafana_token eyJrIjoi {a}{70,400}={0,3}
groq_key gsk_ {a}{52}
harness_token pat. {w}{22}\.{a}{24}\.{a}{20}
harness_token sat. {w}{22}\.{a}{24}\.{a}{20}
hashicorp_vault_token hvs. {w}{24,300}
hashicorp_vault_token hvb. {w}{100,400}
hashicorp_vault_token hvr. {w}{24,300}
heroku_key HRKU- (?:AA{w}{58}|{h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12})
honeycomb_key hcaik_ {a}{58}
honeycomb_key hcxik_ {a}{58}
honeycomb_key hcbik_ {a}{58}
hubspot_token pat-na1- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
hubspot_token pat-eu1- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
huggingface_token hf_ [A-Za-z]{34}
huggingface_token api_org_ [A-Za-z]{34}
infracost_key ico- {a}{32}
intra42_secret s-s4t2ud- {h}{64}
intra42_secret s-s4t2af- {h}{64}
jfrog_token eyJ2ZXIiOiIyIi {b}{64,1024}={0,2}
jina_key jina_ {w}{56,70}
klaviyo_key pk_ {h}{34}
langfuse_key sk-lf- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
langsmith_key lsv2_pt_ {h}{32}_{h}{10}
langsmith_key lsv2_sk_ {h}{32}_{h}{10}
launchdarkly_key sdk- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
launchdarkly_key api- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
linear_key lin_api_ {a}{40}
linear_key lin_oauth_ {a}{40,64}
lob_key live_ {h}{35}
lob_key test_ {h}{35}
mailchimp_key md- {w}{22}
mailersend_key mlsn. {h}{64}
mailgun_key key- {h}{32}
mapbox_token sk.eyJ {w}{40,200}\.{w}{20,40}
mapbox_token pk.eyJ {w}{40,200}\.{w}{20,40}
mollie_key live_ {a}{30}
mollie_key test_ {a}{30}
neon_key napi_ {a}{60,72}
netlify_token nfp_ {a}{36}
netlify_token nfc_ {a}{36}
newrelic_key NRAK- [A-Z0-9]{27}
newrelic_key NRII- {w}{32}
newrelic_key NRJS- {h}{19}
newrelic_key NRIQ- {w}{32}
newrelic_key NRRA- {h}{42}
ngrok_key ak_ [12]{a}{26}
notion_token ntn_ \d{11}{a}{35}
notion_token secret_ {a}{43}
npm_token npm_ {a}{36} crc
nuget_key oy2 [a-z0-9]{43}
nvidia_key nvapi- {w}{60,72}
nylas_key nyk_v0_ {a}{64}
octopus_deploy_key API- [A-Z0-9]{26,30}
onepassword_key A3- [A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}
onepassword_token ops_eyJ {b}{100,3000}={0,3}
openai_key sk- {a}{20}T3BlbkFJ{a}{20}
openai_key sk-proj- {w}{40,100}T3BlbkFJ{w}{40,100}
openai_key sk-svcacct- {w}{40,100}T3BlbkFJ{w}{40,100}
openai_key sk-admin- {w}{40,100}T3BlbkFJ{w}{40,100}
openai_key sk-proj- {w}{40,180}
openai_key sk-None- {w}{40,180}
deepseek_key sk- {h}{32}
openrouter_key sk-or-v1- {h}{64}
openshift_token sha256~ {w}{43}
paypal_token access_token$production$ [a-z0-9]{16}\${h}{32}
paystack_key sk_live_ {h}{40}
perplexity_key pplx- {a}{48,56}
phrase_token phr_ {a}{40,64}
pinecone_key pcsk_ {a}{5,6}_{a}{60,66}
plaid_token access-production- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
plaid_token access-sandbox- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
plaid_token access-development- {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
planetscale_token pscale_tkn_ [\w=.-]{32,64}
planetscale_token pscale_oauth_ [\w=.-]{32,64}
planetscale_token pscale_pw_ [\w=.-]{32,64}
polar_token polar_oat_ {a}{36,60}
posthog_key phx_ {a}{40,60}
posthog_key phc_ {a}{40,60}
postman_key PMAK- {h}{24}-{h}{34}
prefect_key pnu_ {a}{36}
prefect_key pnb_ {a}{36}
pulumi_token pul- {h}{40}
pypi_token pypi-AgEIcHlwaS5vcmc {w}{50,1000}
pypi_token pypi-AgENdGVzdC5weXBpLm9yZw {w}{50,1000}
razorpay_key rzp_live_ {a}{14}
razorpay_key rzp_test_ {a}{14}
readme_key rdme_ [a-z0-9]{70}
render_key rnd_ {a}{28,32}
replicate_token r8_ {a}{37}
resend_key re_ {a}{8}_{a}{24}
retool_token retool_01 {a}{28,40}
rootly_key rootly_ {h}{64}
rubygems_key rubygems_ {h}{48}
salesforce_token 00D {a}{12,15}![\w.]{80,260}
scaleway_key SCW [A-Z0-9]{17}
scalingo_token tk-us- {w}{48}
sendgrid_key SG. {w}{22}\.{w}{43}
sendinblue_key xkeysib- {h}{64}-{a}{16}
sendinblue_key xsmtpsib- {h}{64}-{a}{16}
sentry_token sntrys_ eyJ{b}{40,400}={0,2}_{b}{43}
sentry_token sntryu_ {h}{64}
sentry_token sntrya_ {h}{64}
sentry_token sntryi_ {h}{64}
settlemint_token sm_aat_ {a}{16}
settlemint_token sm_pat_ {a}{16}
settlemint_token sm_sat_ {a}{16}
shippo_token shippo_live_ {h}{40}
shippo_token shippo_test_ {h}{40}
shopify_token shpat_ {h}{32}
shopify_token shpca_ {h}{32}
shopify_token shppa_ {h}{32}
shopify_token shpss_ {h}{32}
shopify_token shpua_ {h}{32}
slack_token xoxb- \d{8,14}-(?:\d{8,14}-)?{a}{18,34}
slack_token xoxp- (?:\d{8,14}-){2,3}{a}{26,36}
slack_token xoxa- (?:\d-)?(?:\d{8,14}-){1,3}{a}{18,64}
slack_token xoxr- (?:\d-)?(?:\d{8,14}-){1,3}{a}{18,64}
slack_token xoxs- [\w-]{30,80}
slack_token xoxc- (?:\d{8,14}-){2,3}{a}{32,64}
slack_token xoxd- [\w%+/=-]{60,300}
slack_token xoxe- (?:\d{8,14}-){2,3}{a}{26,36}
slack_token xoxe- (?:\d-)?{a}{120,200}
slack_token xoxe.xoxp- \d-{a}{150,180}
slack_token xoxe.xoxb- \d-{a}{150,180}
slack_token xapp- \d-[A-Z0-9]{8,14}-\d{8,14}-{h}{32,72}
slack_webhook hooks.slack.com/services/ [TB]{a}{7,12}/B{a}{7,12}/{a}{18,28}
slack_webhook hooks.slack.com/workflows/ T{a}{7,12}/A{a}{7,14}/\d{8,20}/{a}{18,28}
discord_webhook discord.com/api/webhooks/ \d{17,20}/{w}{60,70}
discord_webhook discordapp.com/api/webhooks/ \d{17,20}/{w}{60,70}
teams_webhook webhook.office.com/webhookb2/ {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}@{h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}/IncomingWebhook/{h}{32}/{h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
snyk_token snyk_uat. {h}{8}\.{w}{20,200}\.{w}{20,200}
sonar_token squ_ {h}{40}
sonar_token sqp_ {h}{40}
sonar_token sqa_ {h}{40}
sourcegraph_token sgp_ (?:(?:{h}{16}|local)_)?{h}{40}
square_token EAAA {w}{60}
square_token sq0atp- {w}{22}
square_token sq0csp- {w}{43}
square_token sq0idp- {w}{22}
stripe_key sk_live_ {a}{10,250}
stripe_key sk_test_ {a}{10,250}
stripe_key sk_prod_ {a}{10,99}
stripe_key rk_live_ {a}{10,250}
stripe_key rk_prod_ {a}{10,250}
stripe_key rk_test_ {a}{10,250}
stripe_key whsec_ {a}{32,64}
supabase_key sbp_ {h}{40}
supabase_key sb_secret_ {w}{22,60}
tailscale_key tskey-auth- {a}{8,20}-{a}{20,40}
tailscale_key tskey-api- {a}{8,20}-{a}{20,40}
tailscale_key tskey-client- {a}{8,20}-{a}{20,40}
tavily_key tvly- (?:dev-|prod-)?{a}{32}
tencent_secret_id AKID {a}{32}
tines_key tines_ {a}{30,60}
together_key tgp_v1_ {w}{43}
trello_token ATTA {a}{72}
twilio_key SK {h}{32}
twilio_key AC {h}{32}
typeform_token tfp_ [\w.=-]{59}
ubidots_token BBFF- {a}{30}
unkey_key unkey_ {a}{20,40}
vercel_token vcp_ {a}{50,60}
vercel_token vca_ {a}{50,60}
vercel_blob_token vercel_blob_rw_ {a}{16}_{a}{30,40}
voyage_key pa- {w}{43}
wakatime_key waka_ {h}{8}-{h}{4}-{h}{4}-{h}{4}-{h}{12}
wandb_key wandb_v1_ {w}{70,90}
xai_key xai- {a}{80}
yandex_key AQVN {w}{35,38}
yandex_key t1. [A-Z0-9a-z_-]{3,20}[=]{0,2}\.{w}{86}
yandex_key YC {w}{38}
zuplo_key zpka_ {h}{32}_{h}{8}
"""
_MARKED = r"""
azure_client_secret Q~ (?<![\w~.-])[\w.~-]{3}\dQ~[\w.~-]{31,34}
azure_devops_token AZDO (?<!{a}){a}{76}AZDO{a}{4}
azure_key JQQJ99 (?<!{a}){a}{52}JQQJ99{a}{26}
azure_key AzCa (?<!{b}){b}{33,40}AzCa{b}{5,8}={0,2}
azure_key AzSe (?<!{b}){b}{33,46}AzSe{b}{5,8}={0,2}
azure_key AzFu (?<!{b}){b}{33,46}AzFu{b}{5,8}={0,2}
azure_key AIoT (?<!{b}){b}{33,40}AIoT{b}{5,8}={0,2}
azure_key APIM (?<!{b}){b}{33,80}APIM{b}{5,8}={0,2}
azure_key ACDb (?<!{b}){b}{76}ACDb{b}{6}==
azure_storage_key AccountKey= (?<=AccountKey=){b}{86}==
azure_storage_key +ASt (?<!{b}){b}{76}\+ASt{b}{6}==
azure_sas_signature sig= (?<=[?&]sig=)(?:{w}|%[0-9A-Fa-f]{2}){43,60}
discord_bot_token . (?<![\w-])[MNO]{w}{23,25}\.{w}{6}\.{w}{27,38}
google_oauth_client .apps.google (?<!\d)\d{10,14}-[a-z0-9]{32}\.apps\.googleusercontent\.com
mailchimp_key -us (?<!{a}){h}{32}-us\d{1,2}
maxmind_key _mmk (?<!{a}){a}{6}_{a}{29}_mmk
facebook_token | (?<!\d)\d{15,16}\|{w}{27}
telegram_bot_token :A (?<!\w)\d{8,10}:A{w}{34}
terraform_token .atlasv1. (?<!{a}){a}{14}\.atlasv1\.[\w=-]{60,70}
"""
# Bare values, known by the service's name and by a word for secrets before them.
_NAMED = r"""
algolia_key algolia {h}{32}
assemblyai_key assembly {h}{32}
aws_secret_key aws|amazon|secretaccesskey|secret_access_key {b}{40}
bittrex_key bittrex {h}{32}
cloudflare_token cloudflare|cf_api {w}{40}
cloudflare_token cloudflare|cf_api {h}{37}
codecov_token codecov {h}{32}|{u}
cohere_key cohere {a}{40}
coinbase_key coinbase {w}{64}
confluent_key confluent {a}{64}|{a}{16}
datadog_key datadog|dd_ {h}{32}|{h}{40}
deepgram_key deepgram {h}{40}
discord_secret discord {w}{32}
droneci_token drone {a}{32}
dropbox_key dropbox [a-z0-9]{15}
etsy_key etsy {a}{24}
fastly_token fastly {w}{32}
finnhub_key finnhub [a-z0-9]{20,40}
flickr_key flickr {h}{32}
freshbooks_key freshbooks {h}{64}
gitter_token gitter {w}{40}
heroku_key heroku {u}
hubspot_token hubspot {u}
intercom_token intercom [\w=-]{60}
kraken_key kraken [\w/=+-]{80,90}
kucoin_key kucoin {h}{24}|{u}
launchdarkly_key launchdarkly {w}{40}
linkedin_secret linkedin {a}{14,16}
looker_key looker {a}{20,24}
mailgun_key mailgun {h}{32}-{h}{8}-{h}{8}
mattermost_token mattermost [a-z0-9]{26}
meraki_key meraki {h}{40}
messagebird_key messagebird {a}{25}
mistral_key mistral {a}{32}
netlify_token netlify {w}{40,46}
newrelic_key newrelic|new_relic|new-relic {a}{32,64}
nytimes_key nytimes|newyorktimes {w}{32}
okta_token okta 00{w}{40}
openweather_key openweather|owm_ {h}{32}
pagerduty_token pagerduty|pager_duty [\w+-]{20}
plaid_key plaid {a}{24}|{a}{30}
rapidapi_key rapidapi|rapid_api {w}{50}
rollbar_token rollbar {h}{32}
sendbird_token sendbird {h}{40}
sentry_token sentry {h}{64}
shodan_key shodan {a}{32}
snyk_token snyk {u}
squarespace_token squarespace {u}
sonar_token sonar {h}{40}|{a}{40}
sourcegraph_token sourcegraph {h}{40}
sumologic_key sumo {a}{64}
travis_token travis {a}{22}
trello_key trello {h}{32}|{a}{64}
twilio_token twilio {h}{32}
twitch_token twitch [a-z0-9]{30}
twitter_key twitter {a}{25}|{a}{45,50}|A{22}[\w%]{80,100}
virustotal_key virustotal|vt_api {h}{64}
wandb_key wandb|weights {h}{40}
zendesk_key zendesk {a}{40}
"""
_CLASSES = {
    "{a}": "[A-Za-z0-9]",
    "{h}": "[0-9a-fA-F]",
    "{w}": r"[\w-]",
    "{b}": "[A-Za-z0-9+/]",
    "{u}": "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
}


@dataclass(frozen=True, slots=True)
class Form:
    """What keys of a kind look like: behind a prefix, around a mark, or beside a name."""

    kind: str
    sign: str
    pattern: str
    check: str = ""


def prefixed() -> Iterator[Form]:
    """Forms whose `sign` is what they begin with; `pattern` is the rest."""
    return _read(_PREFIXED)


def marked() -> Iterator[Form]:
    """Forms whose `sign` stands somewhere in them."""
    return _read(_MARKED)


def named() -> Iterator[Form]:
    """Forms whose `sign` are words for the service that stand before them."""
    return _read(_NAMED)


def _read(table: str) -> Iterator[Form]:
    for line in table.split("\n"):
        if line:
            kind, sign, pattern, *check = line.split(" ")
            for short, full in _CLASSES.items():
                pattern = pattern.replace(short, full)
            yield Form(kind, sign, pattern, *check)
