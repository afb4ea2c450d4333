//! One attempt of one lookup ([request](crate::guide::api#request)), without waiting or retrying.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::api::error::CallError;
use crate::api::http::{HttpClient, Reply};
use crate::domain::number::mobile::{MainlandFormat, Mobile};

/// Looks numbers up, one call each.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: HttpClient,
    /// The call's address without the token.
    url: Url,
    mainland: MainlandFormat,
    exclusive: bool,
}

impl Client {
    /// `exclusive` is the API's `support_exclusive_account_search`, which is always sent
    /// ([request](crate::guide::api#request)
    ///).
    #[must_use]
    pub(crate) fn new(
        http: HttpClient,
        endpoint: &Url,
        mainland: MainlandFormat,
        exclusive: bool,
    ) -> Self {
        let mut url = endpoint.clone();
        // No slash at the end: it breaks the call (errcode 22).
        url.set_path(&format!(
            "{}/topapi/v2/user/getbymobile",
            endpoint.path().trim_end_matches('/')
        ));
        Self { http, url, mainland, exclusive }
    }

    /// Makes one attempt.
    ///
    /// # Errors
    /// [`CallError`] if no complete reply came in time.
    pub(crate) async fn lookup(
        &self,
        mobile: Mobile,
        token: &SecretString,
    ) -> Result<Reply, CallError> {
        let mut url = self.url.clone();
        // The token is read from the query alone; a header would be ignored (guide: api, Request).
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        let number = mobile.to_api_string(self.mainland);
        // Digits, `+` and `-` only, so nothing needs escaping.
        let body = format!(
            r#"{{"mobile":"{number}","support_exclusive_account_search":{exclusive}}}"#,
            exclusive = self.exclusive
        );
        self.http.post(&url, body).await
    }
}
