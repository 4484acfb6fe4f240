//! An EC2 and STS endpoint for load: as many instances as asked for, answered as fast as text can be written.
//!
//! For numbers, not for truth: moto knows more of EC2 and needs milliseconds for each instance. The account comes from
//! the access key and the region from the signature's scope, as at AWS; nothing is verified.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

/// A region that is enabled for no account: STS refuses every call there.
pub const DISABLED: &str = "af-south-1";

/// What the endpoint has.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Instances in each region of each account.
    pub instances: usize,
    /// How long each answer takes.
    pub delay: Duration,
}

/// A running endpoint; ends with its task.
#[derive(Debug)]
pub struct FakeEc2 {
    url: String,
    instances: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    instances: Arc<AtomicUsize>,
    delay: Duration,
    calls: Arc<AtomicUsize>,
}

impl FakeEc2 {
    /// Starts one on `port` of loopback; 0 is any free one.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(world: World, port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let calls = Arc::new(AtomicUsize::new(0));
        let instances = Arc::new(AtomicUsize::new(world.instances));
        let shared = Shared {
            instances: Arc::clone(&instances),
            delay: world.delay,
            calls: Arc::clone(&calls),
        };
        let router = Router::new().fallback(answer).with_state(shared);
        let task = tokio::spawn(async move {
            // It serves until the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, instances, calls, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on each region has the first so many instances.
    pub fn have(&self, instances: usize) {
        self.instances.store(instances, Ordering::Relaxed);
    }

    /// Calls of DescribeInstances so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for FakeEc2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: String) -> Response {
    if !shared.delay.is_zero() {
        // No wait for a state: the delay is what this endpoint is asked to have.
        tokio::time::sleep_until(tokio::time::Instant::now() + shared.delay).await;
    }
    let Some((account, region)) = signed_by(&headers) else {
        return error("MissingAuthenticationToken", "Request must contain a signature.");
    };
    match parameter(&body, "Action") {
        Some("DescribeInstances") => {
            shared.calls.fetch_add(1, Ordering::Relaxed);
            xml(page(shared.instances.load(Ordering::Relaxed), &account, &region, &body))
        }
        Some("AssumeRole" | "GetCallerIdentity") if region == DISABLED => {
            refused_by_sts("RegionDisabledException", "STS is not activated in this region.")
        }
        Some("DescribeInstanceTypes") => xml(TYPES.to_owned()),
        Some("AssumeRole") => xml(assume(&body)),
        Some("GetCallerIdentity") => xml(caller(&account)),
        action => error("InvalidAction", &format!("not known here: {action:?}")),
    }
}

fn xml(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/xml;charset=UTF-8")], body).into_response()
}

fn error(code: &str, message: &str) -> Response {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>0</RequestID></Response>"
    );
    (StatusCode::BAD_REQUEST, body).into_response()
}

/// STS speaks the query protocol, whose errors look otherwise than those of EC2.
fn refused_by_sts(code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    );
    (StatusCode::FORBIDDEN, body).into_response()
}

/// Account and region of `Credential=ASIA000000000001/20260101/eu-west-1/ec2/aws4_request`.
fn signed_by(headers: &HeaderMap) -> Option<(String, String)> {
    let signature = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let mut scope = signature.split("Credential=").nth(1)?.split('/');
    let key = scope.next()?;
    let account = key.get(key.len().checked_sub(12)?..)?.to_owned();
    Some((account, scope.nth(1)?.to_owned()))
}

fn parameter<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// One page, or the instances of an `instance-id` filter; the token is the number of the next page's first one.
fn page(there: usize, account: &str, region: &str, body: &str) -> String {
    let from = parameter(body, "NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let size = parameter(body, "MaxResults").and_then(|size| size.parse().ok()).unwrap_or(1000);
    let until = there.min(from + size);
    let asked = parameter(body, "Filter.1.Name") == Some("instance-id");
    let mut xml = String::with_capacity(500 + if asked { 0 } else { (until - from) * 4096 });
    xml.push_str(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeInstancesResponse \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>5f0c8a7e</requestId><reservationSet>",
    );
    if asked {
        for number in (1..).map_while(|at| parameter(body, &format!("Filter.1.Value.{at}"))) {
            let number = number.get(11..).and_then(|hex| usize::from_str_radix(hex, 16).ok());
            if let Some(number) = number.filter(|number| *number < there) {
                instance(&mut xml, number, account, region);
            }
        }
    } else {
        (from..until).for_each(|number| instance(&mut xml, number, account, region));
    }
    xml.push_str("</reservationSet>");
    if !asked && until < there {
        // A String takes every write.
        let _ = write!(xml, "<nextToken>{until}</nextToken>");
    }
    xml.push_str("</DescribeInstancesResponse>");
    xml
}

/// The id of instance `n`: another one in every region of every account, as at AWS. Its last eight digits are `n`.
#[must_use]
pub fn id(n: usize, account: &str, region: &str) -> String {
    // FNV-1a; of this many regions, no two meet in 36 bits.
    let place =
        account.bytes().chain(region.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("i-{:09x}{n:08x}", place >> 28)
}

/// An instance as a web server of an ordinary account has it.
fn instance(xml: &mut String, n: usize, account: &str, region: &str) {
    let (a, b, c) = (n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff);
    let zone = ["a", "b", "c"][n % 3];
    let team = n % 40;
    let id = id(n, account, region);
    let _ = write!(
        xml,
        "<item><reservationId>r-{n:017x}</reservationId><ownerId>{account}</ownerId><groupSet/><instancesSet><item>\
         <instanceId>{id}</instanceId><imageId>ami-0f00ba400f00ba400</imageId>\
         <instanceState><code>16</code><name>running</name></instanceState>\
         <privateDnsName>ip-10-{a}-{b}-{c}.{region}.compute.internal</privateDnsName>\
         <dnsName>ec2-203-0-{b}-{c}.{region}.compute.amazonaws.com</dnsName><reason/><keyName>fleet</keyName>\
         <amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>m7g.large</instanceType>\
         <launchTime>2026-08-30T06:12:44.000Z</launchTime><placement><availabilityZone>{region}{zone}\
         </availabilityZone><groupName/><tenancy>default</tenancy></placement>\
         <monitoring><state>disabled</state></monitoring><subnetId>subnet-0123abcd{zone}</subnetId>\
         <vpcId>vpc-0fedcba9</vpcId><privateIpAddress>10.{a}.{b}.{c}</privateIpAddress>\
         <ipAddress>203.0.{b}.{c}</ipAddress><sourceDestCheck>true</sourceDestCheck><groupSet><item>\
         <groupId>sg-0a1b2c3d4e5f60718</groupId><groupName>web</groupName></item></groupSet>\
         <architecture>arm64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>\
         <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-{n:017x}</volumeId>\
         <status>attached</status><attachTime>2026-05-02T10:00:01.000Z</attachTime><deleteOnTermination>true\
         </deleteOnTermination></ebs></item></blockDeviceMapping><virtualizationType>hvm</virtualizationType>\
         <clientToken>c{n:017x}</clientToken><tagSet><item><key>Name</key><value>web-{n}</value></item>\
         <item><key>team</key><value>team-{team}</value></item><item><key>env</key><value>prod</value></item>\
         <item><key>role</key><value>web</value></item><item><key>aws:autoscaling:groupName</key>\
         <value>web-{team}</value></item></tagSet><hypervisor>xen</hypervisor><networkInterfaceSet><item>\
         <networkInterfaceId>eni-{n:017x}</networkInterfaceId><subnetId>subnet-0123abcd{zone}</subnetId>\
         <vpcId>vpc-0fedcba9</vpcId><description/><ownerId>{account}</ownerId><status>in-use</status>\
         <macAddress>02:00:00:{a:02x}:{b:02x}:{c:02x}</macAddress><privateIpAddress>10.{a}.{b}.{c}</privateIpAddress>\
         <sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-0a1b2c3d4e5f60718</groupId>\
         <groupName>web</groupName></item></groupSet><attachment><attachmentId>eni-attach-{n:017x}</attachmentId>\
         <deviceIndex>0</deviceIndex><status>attached</status><attachTime>2026-05-02T10:00:00.000Z</attachTime>\
         <deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>\
         <association><publicIp>203.0.{b}.{c}</publicIp><ipOwnerId>amazon</ipOwnerId></association>\
         <privateIpAddressesSet><item><privateIpAddress>10.{a}.{b}.{c}</privateIpAddress><primary>true</primary>\
         <association><publicIp>203.0.{b}.{c}</publicIp><ipOwnerId>amazon</ipOwnerId></association></item>\
         </privateIpAddressesSet><ipv6AddressesSet/><interfaceType>interface</interfaceType></item>\
         </networkInterfaceSet><ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport><cpuOptions>\
         <coreCount>2</coreCount><threadsPerCore>1</threadsPerCore></cpuOptions>\
         <hibernationOptions><configured>false</configured></hibernationOptions><metadataOptions>\
         <state>applied</state><httpTokens>required</httpTokens><httpPutResponseHopLimit>1</httpPutResponseHopLimit>\
         <httpEndpoint>enabled</httpEndpoint></metadataOptions><platformDetails>Linux/UNIX</platformDetails>\
         <usageOperation>RunInstances</usageOperation></item></instancesSet></item>"
    );
}

const TYPES: &str = "<DescribeInstanceTypesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><instanceTypeSet>\
    <item><instanceType>m7g.large</instanceType><vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo>\
    <memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo></item></instanceTypeSet></DescribeInstanceTypesResponse>";

/// Credentials whose key ends with the account of the role.
fn assume(body: &str) -> String {
    let role = parameter(body, "RoleArn").unwrap_or_default();
    let account = role.split("%3A").nth(4).unwrap_or("000000000000");
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>ASIA{account}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token\
         </SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>A:b\
         </AssumedRoleId><Arn>arn:aws:sts::{account}:assumed-role/x/y</Arn></AssumedRoleUser></AssumeRoleResult>\
         </AssumeRoleResponse>"
    )
}

fn caller(account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/x</Arn><UserId>A</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}
