//! Where traces go, as OpenTelemetry's own variables of the environment say it.

use anyhow::Result;
use percent_encoding::percent_decode_str;
use url::Url;

use super::{exit, say};
use crate::engine::Collector;
use crate::http::Credential;

/// What a sampler's name begins with that does as the sender of an event says.
const PARENT_BASED: &str = "parentbased_";

/// The collector of `--traces`, else of the environment; None: nobody collects traces.
///
/// # Errors
/// What cannot be read.
pub fn collector(flag: Option<&str>) -> Result<Option<Collector>> {
    wanted(flag, &|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
}

fn wanted(flag: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Collector>> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let [own, shared] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let url = match (flag, variable(own), variable(shared)) {
        (Some(text), ..) => address("--traces", text).map(|url| if url.path() == "/" { below(url) } else { url })?,
        (None, Some(text), _) => address(own, &text)?,
        (None, None, Some(text)) => below(address(shared, &text)?),
        (None, None, None) => return Ok(None),
    };
    let either = |what: &str| {
        variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"))
            .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{what}")))
    };
    if let Some(protocol) = either("PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
        say::warning(&format!("traces are sent as `http/protobuf`: OTEL_EXPORTER_OTLP_PROTOCOL says `{protocol}`"));
    }
    let headers = either("HEADERS").map_or(Ok(Vec::new()), |text| pairs("OTEL_EXPORTER_OTLP_HEADERS", &text))?;
    let headers = headers.into_iter().map(|(name, value)| (name, value.into())).collect::<Vec<_>>();
    let credential = (!headers.is_empty()).then(|| Credential {
        origin: url.origin().ascii_serialization(),
        headers,
        query: Vec::new(),
        signer: None,
    });
    let sampler = variable("OTEL_TRACES_SAMPLER");
    let follows = sampler.as_deref().is_some_and(|sampler| sampler.starts_with(PARENT_BASED));
    let share = share(sampler, variable("OTEL_TRACES_SAMPLER_ARG"))?;
    let resource = variable("OTEL_RESOURCE_ATTRIBUTES");
    let mut resource = resource.map_or(Ok(Vec::new()), |text| pairs("OTEL_RESOURCE_ATTRIBUTES", &text))?;
    let named = resource.iter().any(|(name, _)| name == "service.name");
    if let Some(name) = variable("OTEL_SERVICE_NAME").or((!named).then(|| env!("CARGO_PKG_NAME").to_owned())) {
        resource.retain(|(name, _)| name != "service.name");
        resource.push(("service.name".into(), name));
    }
    Ok(Some(Collector { url: url.into(), credential, resource, share, follows }))
}

fn address(of: &str, text: &str) -> Result<Url> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| exit::usage(format!("{of}: write the collector's address, such as `http://127.0.0.1:4318`")))
}

fn below(mut url: Url) -> Url {
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// `name=value,name=value`, each value as in a URL. No value is told: it may be a secret.
fn pairs(of: &str, text: &str) -> Result<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_owned(), value.into_owned())).filter(|(name, _)| !name.is_empty())
    };
    let written = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read: Option<Vec<_>> = written.map(pair).collect();
    read.ok_or_else(|| exit::usage(format!("{of}: write `name=value`, several with `,` between them")))
}

/// The share of runs that is traced.
fn share(sampler: Option<String>, argument: Option<String>) -> Result<f64> {
    match sampler.as_deref().map_or("always_on", |sampler| sampler.trim_start_matches(PARENT_BASED)) {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => {
            let share = argument.map_or(Some(1.0), |text| text.trim().parse().ok());
            let share = share.filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| exit::usage("OTEL_TRACES_SAMPLER_ARG: write a share from 0 to 1, such as `0.1`"))
        }
        other => Err(exit::usage(format!(
            "OTEL_TRACES_SAMPLER: `{other}` is not known: write `always_on`, `always_off` or `traceidratio`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Collector>> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        wanted(flag, &find)
    }

    #[test]
    fn the_address_is_the_flags_then_the_traces_own_then_the_shared_one() {
        let [own, shared] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        let url = |flag, variables: &[_]| of(flag, variables).unwrap().map(|collector| collector.url);
        assert_eq!(url(None, &[]), None);
        assert_eq!(url(None, &[(shared, "http://one:4318/")]).unwrap(), "http://one:4318/v1/traces");
        assert_eq!(url(None, &[(shared, "http://one/otlp")]).unwrap(), "http://one/otlp/v1/traces");
        assert_eq!(url(None, &[(shared, "http://one"), (own, "http://two/in")]).unwrap(), "http://two/in");
        assert_eq!(url(Some("http://three:1"), &[(own, "http://two")]).unwrap(), "http://three:1/v1/traces");
        assert_eq!(url(Some("http://three/own"), &[("OTEL_SDK_DISABLED", "true")]), None);
        for bad in ["three", "ftp://three", "http://user:word@three"] {
            assert!(of(Some(bad), &[]).unwrap_err().to_string().starts_with("--traces: write the collector's address"));
        }
    }

    #[test]
    fn what_is_sent_along_and_how_much_is_read() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20word, x-other=2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=one,host.name=here"),
            ("OTEL_SERVICE_NAME", "two"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ];
        let read = of(Some("http://one:4318"), &variables).unwrap().unwrap();
        let credential = read.credential.unwrap();
        assert_eq!(credential.origin, "http://one:4318");
        use secrecy::ExposeSecret as _;
        assert_eq!(credential.headers[0].1.expose_secret(), "a word");
        assert_eq!(credential.headers[1].0, "x-other");
        let resource =
            [("host.name", "here"), ("service.name", "two")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(read.resource, resource);
        assert!(read.follows);
        assert_eq!(read.share, 0.25);
        for bad in [("OTEL_EXPORTER_OTLP_HEADERS", "secret"), ("OTEL_TRACES_SAMPLER", "jaeger_remote")] {
            let why = of(Some("http://one"), &[bad]).unwrap_err().to_string();
            assert!(why.starts_with(bad.0) && !why.contains("secret"), "{why}");
        }
    }
}
