//! One attempt of one lookup ([request](crate::guide::api#request)), without waiting or retrying.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::api::error::CallError;
use crate::api::http::{HttpClient, Reply};
use crate::domain::number::mobile::{MainlandFormat, Mobile};

/// Looks up numbers, one call each.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: HttpClient,
    /// Without the token.
    url: Url,
    mainland: MainlandFormat,
    exclusive: bool,
}

impl Client {
    /// `exclusive` is the API's `support_exclusive_account_search`, which is always sent
    /// ([request](crate::guide::api#request)).
    #[must_use]
    pub(crate) fn new(
        http: HttpClient,
        endpoint: &Url,
        mainland: MainlandFormat,
        exclusive: bool,
    ) -> Self {
        let mut url = endpoint.clone();
        // No slash at the end: the API rejects it with errcode 22.
        url.set_path(&format!(
            "{}/topapi/v2/user/getbymobile",
            endpoint.path().trim_end_matches('/')
        ));
        Self { http, url, mainland, exclusive }
    }

    /// Makes later calls on new connections.
    pub(crate) fn reset_connections(&self) {
        self.http.reset_connections();
    }

    pub(crate) async fn lookup(
        &self,
        mobile: Mobile,
        token: &SecretString,
    ) -> Result<Reply, CallError> {
        let mut url = self.url.clone();
        // The API reads the token only from the query and ignores headers (guide: api, Request).
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        let number = mobile.to_api_string(self.mainland);
        // The number has only digits, `+` and `-`: nothing needs escaping.
        let body = format!(
            r#"{{"mobile":"{number}","support_exclusive_account_search":{exclusive}}}"#,
            exclusive = self.exclusive
        );
        self.http.post(&url, body).await
    }
}
