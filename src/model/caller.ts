/** Who makes a request, as the token says. All ids are 32 hex digits; roles are names, implied ones included. */
export interface Caller {
  readonly userId: string;
  readonly userName: string;
  readonly userDomainId: string;
  readonly userDomainName: string;
  /** Null for tokens without a project (unscoped, domain or system scope). */
  readonly projectId: string | null;
  readonly projectName: string | null;
  readonly projectDomainId: string | null;
  readonly projectDomainName: string | null;
  readonly domainId: string | null;
  readonly systemScope: 'all' | null;
  readonly roles: readonly string[];
  readonly expiresAt: number;
  readonly auditIds: readonly string[];
  readonly applicationCredentialId: string | null;
}

/** What a job keeps of its caller: enough to act and to tell, never a token. */
export interface JobContext {
  readonly userId: string;
  readonly projectId: string;
  readonly roles: readonly string[];
  readonly requestId: string;
}

/** A caller as policy sees the answerless case: nobody. */
export const nobody: Caller = {
  userId: '',
  userName: '',
  userDomainId: '',
  userDomainName: '',
  projectId: null,
  projectName: null,
  projectDomainId: null,
  projectDomainName: null,
  domainId: null,
  systemScope: null,
  roles: [],
  expiresAt: 0,
  auditIds: [],
  applicationCredentialId: null,
};
